"""OCPP messages a second, both ways, beside the bare `ocpp` library: same peer, same WebSocket client, same run."""

from collections.abc import Mapping
from pathlib import Path

from bench.child import Child
from bench.results import Figure, Latency, Results

REQUESTS = 150
"""Within the burst the agent answers without refusing."""


def measure(log: Path, sessions: int, calls: int, results: Results) -> None:
    """Queue `sessions` on both, deliver them, then make `calls` and answer requests."""
    with Child("bench.central", log=log) as central:
        url = central.ask("listen")["url"]
        ours, asked_s = _talk("ours", central, url, (sessions, calls), log)
        bare, bare_asked_s = _talk("bare", central, url, (sessions, calls), log)
    results.figures += [
        Figure("OCPP up", ours["up_per_s"], "calls/s", "Heartbeat, one after another", bare["up_per_s"]),
        Figure("OCPP down", ours["down_per_s"], "requests/s", "GetConfiguration of one key", bare["down_per_s"]),
        Figure(
            "outbox drained",
            ours["drained_per_s"],
            "messages/s",
            f"{sessions} sessions, a start and a stop each, taken off the disk one by one; beside: from a list",
            bare["drained_per_s"],
        ),
        Figure("memory before", ours["before_mb"], "MB", "RSS, nothing queued", bare["before_mb"]),
        Figure("memory with the queue", ours["after_mb"], "MB", f"RSS, {sessions} sessions", bare["after_mb"]),
    ]
    results.latencies.append(Latency("GetConfiguration of all keys", "idle", asked_s, bare_asked_s))


def _talk(
    kind: str, central: Child, url: str, counts: tuple[int, int], log: Path
) -> tuple[Mapping[str, float], list[float]]:
    sessions, calls = counts
    with Child("bench.talker", kind, log=log) as talker:
        figures: dict[str, float] = dict(talker.ask("queue", sessions=sessions))
        figures["drained_per_s"] = 2.0 * sessions / talker.ask("connect", url=url)["drained_s"]
        figures["up_per_s"] = calls / talker.ask("call", count=calls)["took_s"]
        figures["down_per_s"] = REQUESTS / sum(central.ask("ask", count=REQUESTS, keys=["HeartbeatInterval"]))
        asked_s = [float(value) for value in central.ask("ask", count=30, keys=[])]
        talker.ask("close")
    return figures, asked_s
