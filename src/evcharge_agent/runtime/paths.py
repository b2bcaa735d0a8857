"""Where a running charger's sockets are.

The services use /run/evcharge. A simulation keeps its sockets in a short directory of its own and leaves a
pointer to it, so that `evcharge-agent status` in a second terminal finds it without being told.
"""

import contextlib
import os
import tempfile
from pathlib import Path

RUNTIME_DIR_VARIABLE = "EVCHARGE_RUNTIME_DIR"
SERVICE_RUNTIME_DIR = Path("/run/evcharge")
SERVICE_STATE_DIR = Path("/var/lib/evcharge-agent")


def find_runtime_dir() -> Path:
    """The directory named by the environment, else the services' while they run, else the latest simulation's."""
    named = os.environ.get(RUNTIME_DIR_VARIABLE)
    if named:
        return Path(named)
    pointer = _pointer()
    are_services_up = any(SERVICE_RUNTIME_DIR.glob("*.sock"))
    return pointer.resolve() if _is_ours(pointer) and not are_services_up else SERVICE_RUNTIME_DIR


def point_to(runtime_dir: Path) -> None:
    """Make `runtime_dir` the one that is found; a pointer somebody else owns is left alone."""
    pointer = _pointer()
    if pointer.is_symlink() and not _is_ours(pointer):
        return
    fresh = pointer.with_name(f"{pointer.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    fresh.symlink_to(runtime_dir)
    fresh.replace(pointer)


def forget(runtime_dir: Path) -> None:
    """Remove the pointer if it still leads to `runtime_dir`."""
    pointer = _pointer()
    if _is_ours(pointer) and pointer.readlink() == runtime_dir:
        pointer.unlink()


def _pointer() -> Path:
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"evcharge-{os.getuid()}"


def _is_ours(pointer: Path) -> bool:
    # The temporary directory is everybody's: only a link we made ourselves is followed.
    return pointer.is_symlink() and pointer.lstat().st_uid == os.getuid()
