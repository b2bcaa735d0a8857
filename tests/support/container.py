"""A Debian with a real systemd as process 1, in a container: root, debootstrap and systemd-nspawn are needed."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SUITE = "bookworm"
CACHE = Path("/var/cache/evcharge-agent-tests") / SUITE
PACKAGES = "systemd,systemd-sysv,dbus,python3"
WAIT_S = 60.0
POWER_OFF_S = 30.0


class Container:
    """A booted container; `systemd-nspawn` is our child, its first child is the container's process 1."""

    def __init__(self, root: Path) -> None:
        self.root = root
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--boot"]
        with (root.parent / "console").open("wb") as console:
            self._nspawn = subprocess.Popen(
                [*command, "--console=pipe", f"--directory={root}"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        self._leader = ""

    def wait_until_booted(self) -> None:
        """Wait for the end of the boot, whatever came of it."""
        until(lambda: bool(self._find_leader()), "the container's first process")
        until(lambda: self.run("systemctl", "is-system-running", check=False) in {"running", "degraded"}, "boot")

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command inside; return what it prints."""
        enter = ["nsenter", "--target", self._leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd"]
        done = subprocess.run([*enter, "--", *command], capture_output=True, text=True, timeout=WAIT_S, check=False)
        assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def close(self) -> None:
        """Power off, by force if it must be: the container's first process outlives a killed systemd-nspawn."""
        self._nspawn.send_signal(signal.SIGTERM)
        try:
            self._nspawn.wait(POWER_OFF_S)
        except subprocess.TimeoutExpired:
            if self._leader:
                os.kill(int(self._leader), signal.SIGKILL)
            self._nspawn.kill()
            self._nspawn.wait()

    def _find_leader(self) -> str:
        assert self._nspawn.poll() is None, (self.root.parent / "console").read_text("utf-8", "replace")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        found = [pid for pid in children if Path(f"/proc/{pid}/comm").read_text().startswith("systemd")]
        self._leader = found[0] if found else ""
        return self._leader


def until(is_so: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
    """Wait until `is_so`; `what` is said when it never comes."""
    give_up_s = time.monotonic() + wait_s
    while not is_so():
        assert time.monotonic() < give_up_s, f"waited in vain: {what}"
        time.sleep(0.1)


@contextlib.contextmanager
def fresh_root(folder: Path) -> Iterator[Path]:
    """A copy of a minimal Debian below `folder`; the original is made once and kept in the cache."""
    if not CACHE.exists():
        made = CACHE.with_name(f"{SUITE}.{os.getpid()}")
        made.parent.mkdir(parents=True, exist_ok=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(made)]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        made.rename(CACHE)
    root = folder / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", str(CACHE), str(root)], check=True)
    try:
        yield root
    finally:
        shutil.rmtree(root)


@contextlib.contextmanager
def booted(root: Path) -> Iterator[Container]:
    """The container of `root`, up."""
    container = Container(root)
    try:
        container.wait_until_booted()
        yield container
    finally:
        container.close()
