"""Directories with paths short enough for unix sockets (108 bytes)."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """Make a private directory under /tmp; it is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="evc-", dir="/tmp"))
    try:
        yield path
    finally:
        shutil.rmtree(path)
