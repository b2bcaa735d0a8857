"""`evcharge-sim run`: the simulated world as a process."""

import argparse
import asyncio
import fcntl
import logging
import signal
import sys
from pathlib import Path
from typing import IO

from evcharge_hal.contract.errors import EvchargeError
from evcharge_hal.sim.config import LoadedConfig, load_config

EXIT_USAGE = 2
EXIT_FAILED = 1


class AlreadyRunningError(EvchargeError):
    """Another world uses the state directory."""


def main(argv: list[str] | None = None) -> int:
    """Run the world until SIGTERM or SIGINT; 2 means a configuration that cannot be used."""
    args = _parse(argv)
    try:
        config = load_config(args.config)
    except EvchargeError as error:
        sys.stderr.write(f"evcharge-sim: {error}\n")
        return EXIT_USAGE
    logging.basicConfig(level=args.log_level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        args.runtime_dir.mkdir(parents=True, exist_ok=True)
        args.state_dir.mkdir(parents=True, exist_ok=True)
        with _locked(args.state_dir / "world.lock"):
            asyncio.run(_run(config, args.runtime_dir, args.state_dir))
    except (EvchargeError, OSError) as error:
        sys.stderr.write(f"evcharge-sim: {error}\n")
        return EXIT_FAILED
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="evcharge-sim", description="The simulated world.")
    run = parser.add_subparsers(required=True, metavar="COMMAND").add_parser("run", help="run the world")
    run.add_argument("--config", type=Path, required=True, help="TOML file with the board's tables and [sim]")
    run.add_argument("--runtime-dir", type=Path, required=True, help="where the sockets and the pilot port go")
    run.add_argument("--state-dir", type=Path, required=True, help="what the hardware remembers")
    run.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    return parser.parse_args(argv)


def _locked(path: Path) -> IO[bytes]:
    """Hold the state directory; the lock falls with the process, however it ends."""
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise AlreadyRunningError(f"{path}: another world runs on this state directory") from error
    return file


async def _run(config: LoadedConfig, runtime_dir: Path, state_dir: Path) -> None:
    from evcharge_hal.sim.process import WorldProcess  # noqa: PLC0415 - usage errors need no web server

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await WorldProcess(config, runtime_dir, state_dir).run(stop)


if __name__ == "__main__":
    sys.exit(main())
