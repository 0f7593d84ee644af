"""Charts as SVG: bars and lines, drawn with nothing but text.

They carry their own light ground, so that they look the same on a page of any colour.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_WIDTH: Final = 760
_LABELS: Final = 190
_VALUES: Final = 120
_ROW: Final = 30
_HEAD: Final = 46
_OURS: Final = "#3949ab"
_THEIRS: Final = "#9aa3b5"
_PALE: Final = "#d5d9e6"
_INK: Final = "#263238"
_GREY: Final = "#78818f"
_Width = Callable[[float], float]
_Place = Callable[[float, float], tuple[float, float]]
_LINES: Final = ("#3949ab", "#ef6c00", "#2e7d32")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `reach` is a second, larger value that is drawn pale behind it."""

    label: str
    value: float
    text: str
    ours: bool = False
    reach: float | None = None


def bar_chart(title: str, bars: Sequence[Bar], *, logarithmic: bool = False) -> str:
    """Draw one bar a row; on a logarithmic scale each decade is as wide."""
    most = max(max(bar.value, bar.reach or 0) for bar in bars)
    least = min(bar.value for bar in bars) / 2 if logarithmic else 0.0
    room = _WIDTH - _LABELS - _VALUES

    def width(value: float) -> float:
        if not logarithmic:
            return room * value / most
        return room * math.log(max(value, least) / least) / math.log(most / least)

    parts = [
        part
        for at, bar in enumerate(bars)
        for part in _bar(bar, top=_HEAD + at * _ROW, width=width)
    ]
    return _svg(title, parts, height=_HEAD + _ROW * len(bars) + 12)


def _bar(bar: Bar, *, top: int, width: _Width) -> Iterator[str]:
    middle = top + _ROW * 0.62
    yield _text(_LABELS - 10, middle, bar.label, anchor="end", bold=bar.ours)
    long = width(max(bar.value, bar.reach or 0))
    if bar.reach is not None:
        yield _rectangle(_LABELS, top + 5, width(bar.reach), _ROW - 10, _PALE)
    colour = _OURS if bar.ours else _THEIRS
    yield _rectangle(_LABELS, top + 5, width(bar.value), _ROW - 10, colour)
    yield _text(_LABELS + long + 8, middle, bar.text, bold=bar.ours)


def line_chart(
    title: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_label: str,
    y_label: str,
) -> str:
    """Draw lines over one another; the scale of values begins at 0."""
    left, top, right, bottom = 60, _HEAD, _WIDTH - 20, 290
    points = [point for line in series.values() for point in line]
    x_most = max(x for x, _ in points) or 1
    y_most = _round_up(max(y for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + (right - left) * x / x_most,
            bottom - (bottom - top) * y / y_most,
        )

    parts = list(_grid(y_most, left=left, right=right, place=place))
    for at, (name, line) in enumerate(series.items()):
        colour = _LINES[at % len(_LINES)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*each) for each in line))
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" '
            'stroke-width="1.6"/>'
        )
        parts.append(_text(left + 10 + 160 * at, bottom + 42, name, colour=colour))
    parts.append(_text(right, bottom + 20, f"{x_most:,.0f} {x_label}", anchor="end"))
    parts.append(_text(left, bottom + 20, "0"))
    parts.append(_text(right, top - 8, y_label, anchor="end", colour=_GREY))
    return _svg(title, parts, height=bottom + 56)


def _grid(y_most: float, *, left: int, right: int, place: _Place) -> Iterator[str]:
    for step in range(5):
        value = y_most * step / 4
        _, y = place(0, value)
        yield (
            f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="{_PALE}"/>'
        )
        yield _text(left - 8, y + 4, f"{value:,g}", anchor="end", colour=_GREY)


def _round_up(value: float) -> float:
    unit: float = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return math.ceil(value * 1.1 / unit * 2.5) / 2.5 * unit


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" '
        f'height="{height:.1f}" rx="2" fill="{colour}"/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    bold: bool = False,
    colour: str = _INK,
) -> str:
    weight = ' font-weight="700"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"'
        f"{weight}>{escape(text)}</text>"
    )


def _svg(title: str, parts: Iterable[str], *, height: int) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" font-size="13" '
        'font-family="system-ui, sans-serif">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#fafbfd"/>\n'
        f'<text x="16" y="26" font-size="15" font-weight="700" fill="{_INK}">'
        f"{escape(title)}</text>\n{inside}\n</svg>\n"
    )
