"""A histogram of latencies as SVG, without a library."""

import math
from collections.abc import Sequence
from html import escape

from bench.results import Latency
from bench.stats import log_histogram

LOWEST_S, HIGHEST_S = 2e-5, 2e-2
BINS = 90
WIDTH, HEIGHT, LEFT, GAP = 720, 150, 60, 42
_TICKS_MS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
_COLOURS = {"ours": "#1f6feb", "echo": "#b0b0b0"}


def draw(rows: Sequence[Latency]) -> str:
    """One panel for each row, ours over the echo; the axis is logarithmic and the same in all."""
    total = len(rows) * (HEIGHT + GAP) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + LEFT + 20} {total}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH + LEFT + 20}" height="{total}" fill="white"/>',
    ]
    for index, row in enumerate(rows):
        parts += _panel(row, 24 + index * (HEIGHT + GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(row: Latency, top: int) -> list[str]:
    base = top + HEIGHT
    title = f"{row.name}, {row.load}: n = {len(row.values_s)} (blue), bare echo of the same path (grey)"
    parts = [f'<text x="{LEFT}" y="{top - 6}">{escape(title)}</text>']
    for name, values in (("echo", row.echo_s), ("ours", row.values_s)):
        counts = log_histogram(values, LOWEST_S, HIGHEST_S, BINS)
        parts.append(_curve(counts, max([1, *counts]), base, _COLOURS[name]))
    parts.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{base}" y2="{base}" stroke="black"/>')
    for tick_ms in _TICKS_MS:
        x = LEFT + WIDTH * math.log(tick_ms / 1000.0 / LOWEST_S) / math.log(HIGHEST_S / LOWEST_S)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 4}" stroke="black"/>')
        parts.append(f'<text x="{x:.1f}" y="{base + 16}" text-anchor="middle">{tick_ms:g}</text>')
    return [*parts, f'<text x="4" y="{base + 16}">ms</text>']


def _curve(counts: Sequence[int], highest: int, base: int, colour: str) -> str:
    """Each curve fills its panel's height: what counts is where the mass lies."""
    step = WIDTH / len(counts)
    points = [f"{LEFT},{base}"]
    for index, count in enumerate(counts):
        y = base - HEIGHT * count / highest
        points += [f"{LEFT + index * step:.1f},{y:.1f}", f"{LEFT + (index + 1) * step:.1f},{y:.1f}"]
    points.append(f"{LEFT + WIDTH},{base}")
    return f'<polygon points="{" ".join(points)}" fill="{colour}" fill-opacity="0.55"/>'
