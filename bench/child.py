"""Measuring processes: JSON lines in on stdin, one JSON line out for each."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self


class ChildError(Exception):
    """A measuring process ended or did not do what it was told."""


class Child:
    """One of the benchmark's own modules as a process; it lives as long as its stdin."""

    def __init__(self, module: str, *arguments: str, log: Path) -> None:
        self._module = module
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def ask(self, do: str, **fields: Any) -> Any:
        """Let it do something and wait for the outcome."""
        if self._process.stdin is None or self._process.stdout is None:
            raise ChildError(f"{self._module} has no pipes")
        try:
            self._process.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise ChildError(f"{self._module} is gone: {error}") from error
        line = self._process.stdout.readline()
        if not line:
            raise ChildError(f"{self._module} ended during {do}")
        answer = json.loads(line)
        if isinstance(answer, Mapping) and "failed" in answer:
            raise ChildError(f"{self._module} {do}: {answer['failed']}")
        return answer

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
