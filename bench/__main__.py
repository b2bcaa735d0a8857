"""`python -m bench`: measure everything and print it. Takes six minutes; `--quick` little more than one."""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import footprint, messages, startup, throughput, trips
from bench.child import ChildError
from bench.plot import draw
from bench.results import Results

TRIP = "RCM edge → relay-off line"


@dataclass(frozen=True, slots=True)
class Scale:
    """How long each part may take."""

    counts: trips.Counts
    starts: int
    idle_s: float
    charging_s: float
    throughput_s: float
    sessions: int
    calls: int


FULL = Scale(
    trips.Counts(edges=2500, plugs=50, rounds=5, cuts=40, kills=3), 7, 60.0, 60.0, 3.0, sessions=1000, calls=2000
)
QUICK = Scale(trips.Counts(edges=200, plugs=6, rounds=1, cuts=10, kills=1), 1, 20.0, 5.0, 0.5, sessions=100, calls=300)


def main() -> int:
    """Run the parts one after another."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little more than a minute, with few trials")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here as well")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the distribution of the trip's latency")
    args = parser.parse_args()
    scale = QUICK if args.quick else FULL
    began_s = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began_s:5.0f} s  {text}\n")

    # In memory, so that logs are not counted as written to the disk.
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of our own in it
    folder = Path(tempfile.mkdtemp(prefix="evcharge-bench-", dir=memory if os.access(memory, os.W_OK) else None))
    results = Results()
    try:
        _measure(folder / "log", scale, results, say)
    except ChildError as error:
        print(results.text())
        sys.stderr.write(f"{error}\nwhat was measured until then is above; the log is {folder / 'log'}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    shutil.rmtree(folder, ignore_errors=True)
    say("done")
    print(results.text())
    if args.json is not None:
        args.json.write_text(json.dumps(results.as_json(), indent=1, ensure_ascii=False) + "\n")
    if args.svg is not None:
        args.svg.write_text(draw([row for row in results.latencies if row.name == TRIP]))
    return 0


def _measure(log: Path, scale: Scale, results: Results, say: Callable[[str], None]) -> None:
    results.machine += [
        f"{os.cpu_count()} cores {platform.machine()}, {platform.python_implementation()} {platform.python_version()}",
        f"load average before: {_load()}",
    ]
    say("steps and commits a second")
    throughput.measure(scale.throughput_s, results)
    say("OCPP messages a second")
    messages.measure(log, scale.sessions, scale.calls, results)
    say("starts")
    startup.measure(log, scale.starts, results)
    trips.measure(log, scale.counts, results, say)
    footprint.measure(log, scale.idle_s, scale.charging_s, results, say)
    results.machine.append(f"load average after: {_load()}")


def _load() -> str:
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


if __name__ == "__main__":
    sys.exit(main())
