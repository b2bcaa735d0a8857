"""The demo on a terminal: one screen, drawn anew from a snapshot. Pure but for the writer."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evcharge_agent.reports import duration_text

SPARKS = "▁▂▃▄▅▆▇█"
HISTORY = 60
BAR_WIDTH = 32
FRAMES_SHOWN = 10

_COLOURS = {
    "Available": "32",
    "Preparing": "35",
    "Charging": "36",
    "SuspendedEV": "33",
    "SuspendedEVSE": "33",
    "Finishing": "34",
    "Faulted": "31",
    "Unavailable": "31",
}


@dataclass(slots=True)
class Screen:
    """What is shown, and the little history a plot needs."""

    title: str
    hint: str
    is_coloured: bool
    story: str = ""
    power_w: dict[int, deque[float]] = field(default_factory=dict)

    def remember(self, view: Mapping[str, Any]) -> None:
        """Keep the power of each connector for its plot."""
        for at in view["connectors"]:
            past = self.power_w.setdefault(at["connector"], deque(maxlen=HISTORY))
            past.append(at["power_w"] or 0.0)

    def render(self, view: Mapping[str, Any] | None, frames: Sequence[str]) -> str:
        """The whole screen as text."""
        lines = [self._paint(self.title, "1"), self.hint, "", f"  {self.story}", ""]
        if view is None:
            lines.append("  the agent is starting …")
        else:
            for at in view["connectors"]:
                lines += [*self._connector(at), ""]
        lines.append(self._paint("  OCPP", "1"))
        lines += [f"    {frame}" for frame in frames[-FRAMES_SHOWN:]]
        return "\n".join(lines)

    def _connector(self, at: Mapping[str, Any]) -> list[str]:
        state = self._paint(at["state"], _COLOURS.get(at["state"], "0"))
        lines = [f"  Connector {at['connector']}  {state}" + (f"  {at['waiting']['text']}" if at["waiting"] else "")]
        drawn_a = max(at["current_a"].values()) if at["current_a"] else 0.0
        if at["session"] is None and drawn_a == 0.0:
            return lines
        lines.append(f"    current {bar(drawn_a, at['offer_a'])} {drawn_a:5.1f} A of {at['offer_a']:.1f} A offered")
        past = self.power_w.get(at["connector"], ())
        lines.append(f"    power   {sparkline(tuple(past))} {(at['power_w'] or 0.0) / 1000:6.2f} kW")
        if at["session"]:
            session = at["session"]
            lines.append(
                f"    energy  {session['energy_wh'] / 1000:.3f} kWh in {duration_text(session['duration_s'])},"
                f" transaction {session['transaction_id'] if session['transaction_id'] is not None else '…'}"
            )
        acting = [limit for limit in at["limits"] if limit["is_acting"]]
        lines += [f"    why     {limit['text']}" for limit in acting]
        lines += [self._paint(f"    fault   {fault['text']}", "31") for fault in at["faults"]]
        return lines

    def _paint(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.is_coloured else text


def bar(drawn_a: float, offer_a: float) -> str:
    """A bar of the offer with the draw filled in."""
    full_a = max(offer_a, drawn_a, 1.0)
    filled = round(BAR_WIDTH * drawn_a / full_a)
    return "█" * filled + "░" * (BAR_WIDTH - filled)


def sparkline(values: Sequence[float]) -> str:
    """The last values as one line of blocks, scaled to the largest."""
    highest = max([*values, 1.0])
    marks = [SPARKS[min(len(SPARKS) - 1, int(value / highest * (len(SPARKS) - 1) + 0.5))] for value in values]
    return "".join(marks[-BAR_WIDTH:]).rjust(BAR_WIDTH)
