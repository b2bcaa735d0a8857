"""What was measured, and its form on the screen and in a file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.stats import Spread, ratio, spread

_LATENCY_HEADS = (
    "latency, ms",
    "load",
    "n",
    "p50",
    "p99",
    "p99.9",
    "max",
    "echo p50",
    "echo p99",
    "echo max",
    "ratio p50",
    "aim",
)
_FIGURE_HEADS = ("figure", "value", "unit", "beside", "ratio", "aim", "how")


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of one path and, where there is one, of the bare echo of the same path in the same run."""

    name: str
    load: str
    values_s: Sequence[float]
    echo_s: Sequence[float] = ()
    aim: str = ""
    lost: int = 0
    """Trials without an outcome within 2 s."""

    def cells(self) -> tuple[str, ...]:
        """The table's row."""
        ours, bare = spread(self.values_s), spread(self.echo_s)
        count = f"{len(self.values_s)}" + (f" ({self.lost} lost)" if self.lost else "")
        if ours is None:
            return (self.name, self.load, count, *[""] * 8, self.aim)
        times = (_ms(ours.median), _ms(ours.p99), _ms(ours.p999), _ms(ours.largest))
        beside = ("", "", "") if bare is None else (_ms(bare.median), _ms(bare.p99), _ms(bare.largest))
        share = "" if bare is None else _plain(ratio(ours.median, bare.median))
        return (self.name, self.load, count, *times, *beside, share, self.aim)

    def as_json(self) -> dict[str, Any]:
        """Everything but the single values."""
        return {
            "name": self.name,
            "load": self.load,
            "lost": self.lost,
            "seconds": _spread_json(spread(self.values_s)),
            "echo_seconds": _spread_json(spread(self.echo_s)),
            "aim": self.aim,
        }


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, beside a bare one where there is one."""

    name: str
    value: float
    unit: str
    how: str
    beside: float | None = None
    aim: str = ""

    def cells(self) -> tuple[str, ...]:
        """The table's row."""
        beside = "" if self.beside is None else _plain(self.beside)
        return (
            self.name,
            _plain(self.value),
            self.unit,
            beside,
            _plain(ratio(self.value, self.beside)),
            self.aim,
            self.how,
        )

    def as_json(self) -> dict[str, Any]:
        """The same as an object."""
        return {name: getattr(self, name) for name in ("name", "value", "unit", "beside", "aim", "how")}


@dataclass(slots=True)
class Results:
    """One run."""

    machine: list[str] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    def text(self) -> str:
        """Tables that are Markdown as well."""
        latencies = table(_LATENCY_HEADS, [row.cells() for row in self.latencies])
        figures = table(_FIGURE_HEADS, [row.cells() for row in self.figures])
        return "\n".join([*self.machine, "", *latencies, "", *figures])

    def as_json(self) -> dict[str, Any]:
        """The same as an object."""
        return {
            "machine": self.machine,
            "latencies": [row.as_json() for row in self.latencies],
            "figures": [row.as_json() for row in self.figures],
        }


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table whose columns stand under each other."""
    widths = [max(len(row[index]) for row in (heads, *rows)) for index in range(len(heads))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)]
    rule = "-|-".join("-" * width for width in widths)
    return [f"| {lines[0]} |", f"|-{rule}-|", *(f"| {line} |" for line in lines[1:])]


def _ms(value_s: float | None) -> str:
    return "" if value_s is None else _plain(value_s * 1000.0)


def _plain(value: float | None) -> str:
    """Three digits that count, without an exponent."""
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 100.0 else f"{value:.3g}"


def _spread_json(found: Spread | None) -> dict[str, float | None] | None:
    if found is None:
        return None
    return {name: getattr(found, name) for name in ("count", "median", "p99", "p999", "largest")}
