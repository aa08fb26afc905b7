"""Draws a curve over training steps as an SVG: pure, from numbers to text."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 18, 12, 28
_MOST_POINTS = 240
_LEAST = 1e-30  # on a logarithmic axis


@dataclass(frozen=True)
class Curve:
    """A quantity over training steps: `points` are (step, value) in rising order of steps."""

    title: str
    unit: str
    points: Sequence[tuple[int, float]]
    write: Callable[[float], str]
    logarithmic: bool = False


def draw(curve: Curve) -> str:
    """Draw a curve with axes; each point tells its value when pointed at.

    Values that are not finite (or not above zero, on a logarithmic axis) are left out; with fewer
    than two values there is nothing to draw and the result is empty.
    """
    points = [(step, value) for step, value in curve.points if _drawable(curve, value)]
    if len({step for step, _ in points}) < 2:
        return ""
    points = thin(points, _MOST_POINTS)
    scale = math.log10 if curve.logarithmic else float
    low, high = _range([scale(value) for _, value in points])
    first, last = points[0][0], points[-1][0]

    def x(step: float) -> float:
        return _LEFT + (step - first) / (last - first) * (WIDTH - _LEFT - _RIGHT)

    def y(scaled: float) -> float:
        return HEIGHT - _BOTTOM - (scaled - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    places = [(x(step), y(scale(value))) for step, value in points]
    line = " ".join(f"{px:.1f},{py:.1f}" for px, py in places)
    floor = HEIGHT - _BOTTOM
    label = escape(f"{curve.title} over training steps")
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">']
    parts += [
        _horizontal(y(scale(tick)), curve.write(tick)) for tick in _value_ticks(curve, low, high)
    ]
    parts += [_vertical(x(tick), f"{tick:,.0f}") for tick in ticks(first, last, 5)]
    parts.append(
        f'<polygon class="area" points="{places[0][0]:.1f},{floor} {line} '
        f'{places[-1][0]:.1f},{floor}"/>'
    )
    parts.append(f'<polyline class="line" points="{line}"/>')
    for (px, py), (step, value) in zip(places, points, strict=True):
        told = escape(f"step {step:,}: {curve.write(value)} {curve.unit}".strip())
        parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="5"><title>{told}</title></circle>')
    parts.append("</svg>")
    return "".join(parts)


def thin(points: Sequence[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """Average neighbours until at most `most` points are left; the last one stays as it is."""
    if len(points) <= most:
        return list(points)
    size = math.ceil((len(points) - 1) / (most - 1))
    head = points[:-1]
    groups = [head[start : start + size] for start in range(0, len(head), size)]
    means = [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]
    return [*means, points[-1]]


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers within [low, high]: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * factor for factor in (1, 2, 5) if power * factor >= rough), power * 10)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [count * step for count in range(first, last + 1)]


def _drawable(curve: Curve, value: float) -> bool:
    return math.isfinite(value) and (value > _LEAST or not curve.logarithmic)


def _range(scaled: Sequence[float]) -> tuple[float, float]:
    low, high = min(scaled), max(scaled)
    margin = (high - low) * 0.06 or max(abs(low) * 0.1, 0.1)
    return low - margin, high + margin


def _value_ticks(curve: Curve, low: float, high: float) -> list[float]:
    if not curve.logarithmic:
        return ticks(low, high, 4)
    decades = range(math.floor(low), math.ceil(high) + 1)
    fine = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
    within = [tick for tick in fine if low <= math.log10(tick) <= high]
    return within if len(within) > 1 else ticks(10.0**low, 10.0**high, 4)


def _horizontal(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{escape(text)}</text>'
    )


def _vertical(x: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(text)}</text>'
