"""A curve as SVG: axes, ticks, one line, the goal as a dashed one. Two ink colours, no dependency.

Colours are mid-grey and blue, so that the picture is read on white and on black.
"""

from collections.abc import Sequence
from html import escape
from math import floor, log10

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 34, 46
INK, LINE, GOAL = "#808080", "#3b82c4", "#c4703b"


def svg(
    title: str,
    points: Sequence[tuple[float, float]],
    x_name: str,
    y_name: str,
    goal: float | None = None,
) -> str:
    """`points` in the order of x; both axes begin at zero."""
    x_step = _step(max(x for x, _ in points))
    y_step = _step(max([y for _, y in points] + ([goal] if goal is not None else [])))
    x_ticks, y_ticks = _ticks(x_step, points, 0), _ticks(y_step, [*points, (0, goal or 0)], 1)

    def at(x: float, y: float) -> tuple[float, float]:
        across = (WIDTH - LEFT - RIGHT) * x / x_ticks[-1]
        up = (HEIGHT - TOP - BOTTOM) * y / y_ticks[-1]
        return round(LEFT + across, 1), round(HEIGHT - BOTTOM - up, 1)

    font = f'font-family="sans-serif" font-size="12" fill="{INK}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {font}>',
        f"<title>{escape(title)}</title>",
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for y in y_ticks:
        _, row = at(0, y)
        parts.append(
            f'<path d="M{LEFT} {row}H{WIDTH - RIGHT}" stroke="{INK}" stroke-opacity=".25"/>'
            f'<text x="{LEFT - 6}" y="{row + 4}" text-anchor="end">{_label(y)}</text>'
        )
    for x in x_ticks:
        column, _ = at(x, 0)
        parts.append(
            f'<text x="{column}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{_label(x)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_name)}</text>'
    )
    parts.append(
        f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_name)}</text>'
    )
    if goal is not None:
        _, row = at(0, goal)
        parts.append(
            f'<path d="M{LEFT} {row}H{WIDTH - RIGHT}" stroke="{GOAL}" stroke-dasharray="5 4"/>'
            f'<text x="{WIDTH - RIGHT}" y="{row - 5}" text-anchor="end" fill="{GOAL}">goal</text>'
        )
    path = "L".join(f"{x} {y}" for x, y in (at(*point) for point in points))
    parts.append(f'<path d="M{path}" fill="none" stroke="{LINE}" stroke-width="2"/></svg>')
    return "\n".join(parts) + "\n"


def _step(top: float) -> float:
    """A round step of which four to ten reach `top`."""
    if top <= 0:
        return 1.0
    rough = top / 5
    power = 10.0 ** floor(log10(rough))
    return next(power * by for by in (1, 2, 2.5, 5, 10) if power * by >= rough)


def _ticks(step: float, points: Sequence[tuple[float, float]], axis: int) -> list[float]:
    top = max(point[axis] for point in points)
    ticks = [0.0]
    while ticks[-1] < top or len(ticks) < 2:
        ticks.append(len(ticks) * step)
    return ticks


def _label(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:g}"
