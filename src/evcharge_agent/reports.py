"""The station's snapshot as text for a terminal: `status` and `why`.

Pure functions of the JSON that `core.view.as_json` gives, so that the command line shows exactly what the API
shows.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]


def status_text(view: Json) -> str:
    """A few lines for each connector and one for the station."""
    lines = [_station_line(view), *_central_system_lines(view), *_storage_lines(view)]
    for connector in view["connectors"]:
        lines += ["", *_connector_lines(connector)]
    return "\n".join(lines)


def why_text(view: Json) -> str:
    """Why each connector offers the current it offers: every limit, the acting one marked."""
    blocks = [_why_block(connector) for connector in view["connectors"]]
    if storage := _storage_lines(view):
        blocks.insert(0, "\n".join(storage))
    return "\n\n".join(blocks)


def sessions_text(sessions: Sequence[Json]) -> str:
    """One line for each transaction."""
    if not sessions:
        return "no transactions yet"
    lines = [f"{'started (UTC)':<20} {'conn':>4} {'card':<20} {'kWh':>9} {'transaction':>11}  stopped"]
    for session in sessions:
        start, stop = session["start"], session["stop"]
        number = session["transaction_id"]
        lines.append(
            f"{_time_text(start['started']['utc_s']):<20} {start['connector']:>4} {start['id_tag']:<20}"
            f" {session['energy_wh'] / 1000:>9.3f} {'-' if number is None else number:>11}"
            f"  {'running' if stop is None else stop['reason']}"
        )
    return "\n".join(lines)


def duration_text(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest_s:02}" if hours else f"{minutes}:{rest_s:02}"


def _time_text(utc_s: float) -> str:
    return dt.datetime.fromtimestamp(utc_s, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _station_line(view: Json) -> str:
    if not view["is_central_system_enabled"]:
        central_system = "no central system"
    elif not view["is_central_system_connected"]:
        central_system = "central system offline"
    elif not view["is_central_system_accepted"]:
        central_system = "central system has not accepted us yet"
    else:
        central_system = "central system online"
    guard = "guard connected" if view["is_guard_connected"] else "GUARD NOT CONNECTED"
    clock = "clock set" if view["is_clock_trusted"] else "clock not set"
    return f"Station: {view['state']} · {central_system} · {guard} · {clock}"


def _central_system_lines(view: Json) -> list[str]:
    """Why there is no connection, and what waits for one; nothing while all is well."""
    line = view.get("central_system")
    if not line:
        return []
    lines = []
    if line["last_error"] is not None:
        lines.append(f"  no connection to {line['url']} as {line['identity']}: {line['last_error']}")
    elif line["is_connected"] and line["registration"] in ("Pending", "Rejected"):
        lines.append(f"  {line['url']} answers {line['identity']}: {line['registration']}")
    if line["queued"]:
        lines.append(f"  {_counted(line['queued'], 'message')} queued")
    if line["parked"]:
        lines.append(f"  {_counted(line['parked'], 'message')} given up: the central system does not take them")
    return lines


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _storage_lines(view: Json) -> list[str]:
    """Nothing while the disk takes what it is given."""
    storage = view.get("storage")
    if not storage or not storage["is_failing"]:
        return []
    return ["STORAGE FAILING: no session can begin until it is back.", f"  {storage['reason']}"]


def _connector_lines(connector: Json) -> list[str]:
    lines = [f"Connector {connector['connector']}: {connector['state']}"]
    if connector["waiting"]:
        lines.append(f"  waiting   {connector['waiting']['text']}")
    lines.append(f"  offer     {_offer_text(connector)}")
    if connector["power_w"] is not None:
        lines.append(f"  draw      {connector['power_w'] / 1000:.2f} kW{_phases_text(connector['current_a'])}")
    session = connector["session"]
    if session:
        number = session["transaction_id"]
        lines.append(
            f"  session   {session['energy_wh'] / 1000:.3f} kWh in {duration_text(session['duration_s'])},"
            f" transaction {'not yet numbered' if number is None else number}, card {session['id_tag']}"
        )
    for fault in connector["faults"]:
        lines += [f"  fault     {fault['text']}", f"            {fault['what_to_do']}"]
    return lines


def _offer_text(connector: Json) -> str:
    """The offer and who sets it; without one, what would be offered."""
    acting = [limit for limit in connector["limits"] if limit["is_acting"]]
    because = f" ({acting[0]['text']})" if acting else ""
    if connector["offer_a"] > 0.0:
        return f"{connector['offer_a']:.1f} A{because}"
    possible_a = min((_lowest_a(limit) for limit in connector["limits"]), default=0.0)
    return f"none; {possible_a:.1f} A are possible{because}"


def _lowest_a(limit: Json) -> float:
    phases = limit["limit_a"]
    return min(float(phases[name]) for name in ("l1", "l2", "l3"))


def _phases_text(current_a: Json | None) -> str:
    if current_a is None:
        return ""
    return " (" + " / ".join(f"{current_a[name]:.1f}" for name in ("l1", "l2", "l3")) + " A)"


def _why_block(connector: Json) -> str:
    head = f"Connector {connector['connector']}: {connector['offer_a']:.1f} A offered, {connector['state']}"
    lines = [head]
    if connector["waiting"]:
        lines.append(f"  {connector['waiting']['text']}")
    width = max((len(limit["source"]) for limit in connector["limits"]), default=0)
    for limit in connector["limits"]:
        mark = ">" if limit["is_acting"] else " "
        lines.append(f"  {mark} {limit['source']:<{width}}  {_lowest_a(limit):5.1f} A  {limit['text']}")
    return "\n".join(lines)
