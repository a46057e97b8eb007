"""The figures as a picture (SVG): each as a share of what the article's settings take, with the aim marked on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from ops.bench_gateway import figures as names
from ops.bench_gateway.configurations import ARTICLE, DEFAULT, OURS, TITLES
from ops.bench_gateway.figures import RATIOS, Figure
from ops.bench_gateway.page import number

# Which figures are drawn: sections, and how their names begin.
DRAWN: Final = (
    (names.CPU, ("short", "100 KB", "400 KB", "1600 KB")),
    (names.ADDED, ("plain, p99", "first token, p99")),
    (names.FIRST, ("400 KB", "1600 KB")),
)
MOST: Final = 1.5  # of the article's: a longer bar is cut, and its end says so

WIDTH, LEFT, RIGHT = 900, 268, 170
ROW, HEAD, TOP, BOTTOM = 34, 40, 84, 44
BAR, THIN = 12, 7
# Okabe and Ito's blue and orange, which people of every kind of colour vision tell apart.
COLOURS: Final = {OURS: "#0072B2", DEFAULT: "#A0A4AB"}
AIM, INK, SOFT, LINE = "#D55E00", "#1C2330", "#5C6675", "#DFE3EA"
FONT: Final = '-apple-system, "Segoe UI", "Helvetica Neue", Arial, "Noto Sans", sans-serif'


@dataclass(frozen=True)
class _Row:
    figure: Figure
    aim: float | None

    def share(self, name: str) -> float:
        """A value as a share of the article's."""
        return max(0.0, self.figure.values[name] / self.figure.values[ARTICLE])


def chart(figures: Sequence[Figure]) -> str:
    """The picture, of what was measured of the article's settings too; with its head alone if that is nothing."""
    groups = [(section, list(_rows(figures, section, beginnings))) for section, beginnings in DRAWN]
    groups = [(section, rows) for section, rows in groups if rows]
    height = TOP + sum(HEAD + ROW * len(rows) for _, rows in groups) + BOTTOM
    return "\n".join((*_head(height), *_axis(height), *_groups(groups), "</svg>", ""))


def _rows(figures: Sequence[Figure], section: str, beginnings: Sequence[str]) -> Iterator[_Row]:
    for figure in figures:
        values = figure.values
        if figure.section != section or not figure.name.startswith(tuple(beginnings)):
            continue
        if OURS in values and values.get(ARTICLE, 0) > 0:
            found = (most for (of, begin), most in RATIOS.items() if of == section and figure.name.startswith(begin))
            yield _Row(figure, next(found, None))


def _head(height: int) -> Iterator[str]:
    title = "What a request takes, as a share of the article's settings"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family=\'{FONT}\' font-size="13" fill="{INK}" role="img">'
    )
    yield f"<title>{title}</title>"
    yield f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#FFFFFF"/>'
    yield f'<text x="24" y="34" font-size="17" font-weight="600">{title}</text>'
    x = 24
    for name in (OURS, DEFAULT):
        yield f'<rect x="{x}" y="50" width="14" height="10" rx="2" fill="{COLOURS[name]}"/>'
        yield f'<text x="{x + 20}" y="59.5" fill="{SOFT}">{escape(TITLES[name])}</text>'
        x += 34 + 7 * len(TITLES[name])
    yield f'<path d="M{x + 4} 47v16" stroke="{AIM}" stroke-width="3"/>'
    yield f'<text x="{x + 12}" y="59.5" fill="{SOFT}">at most, by the aim</text>'


def _x(share: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(share, MOST) / MOST


def _axis(height: int) -> Iterator[str]:
    for percent in (0, 25, 50, 75, 100, 125, 150):
        x = _x(percent / 100)
        colour, width = (INK, 1.5) if percent == 100 else (LINE, 1)
        yield f'<path d="M{x:.1f} {TOP}V{height - BOTTOM + 6}" stroke="{colour}" stroke-width="{width}"/>'
        name = "the article's" if percent == 100 else f"{percent} %"
        weight = ' font-weight="600"' if percent == 100 else ""
        yield (
            f'<text x="{x:.1f}" y="{height - BOTTOM + 24}" text-anchor="middle" font-size="12" fill="{SOFT}"{weight}>'
            f"{name}</text>"
        )


def _groups(groups: Sequence[tuple[str, Sequence[_Row]]]) -> Iterator[str]:
    y = TOP
    for section, rows in groups:
        yield (
            f'<text x="24" y="{y + 24}" font-weight="600" paint-order="stroke" '
            f'stroke="#FFFFFF" stroke-width="6">{escape(section)}</text>'
        )
        y += HEAD
        for row in rows:
            yield from _bars(row, y)
            y += ROW


def _bars(row: _Row, y: int) -> Iterator[str]:
    figure = row.figure
    yield f'<text x="{LEFT - 12}" y="{y + 15}" text-anchor="end" fill="{SOFT}">{escape(figure.name)}</text>'
    yield _bar(row.share(OURS), y + 3, BAR, COLOURS[OURS])
    if DEFAULT in figure.values:
        yield _bar(row.share(DEFAULT), y + 4 + BAR, THIN, COLOURS[DEFAULT])
    if row.aim is not None:
        yield f'<path d="M{_x(row.aim):.1f} {y}v{BAR + 6}" stroke="{AIM}" stroke-width="3"/>'
    mine, theirs = (number(figure.values[name]) for name in (OURS, ARTICLE))
    yield (
        f'<text x="{WIDTH - RIGHT + 16}" y="{y + 15}"><tspan font-weight="600">{mine}</tspan>'
        f'<tspan fill="{SOFT}"> of {theirs} {escape(figure.unit)}</tspan></text>'
    )


def _bar(share: float, y: int, thick: int, colour: str) -> str:
    end = _x(share)
    bar = f'<rect x="{LEFT}" y="{y}" width="{max(1.0, end - LEFT):.1f}" height="{thick}" rx="2" fill="{colour}"/>'
    if share <= MOST:
        return bar
    return f'{bar}<path d="M{end - 14:.1f} {y - 1}l-5 {thick + 2}" stroke="#FFFFFF" stroke-width="3"/>'
