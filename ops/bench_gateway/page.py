"""The figures as tables, and where docs/performance.md has them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ops.bench_gateway.configurations import NAMES, OURS, TITLES
from ops.bench_gateway.figures import CPU, DATABASE, MEMORY, Aim, Figure
from stacks import CHECKOUT

PAGE: Final = CHECKOUT / "docs" / "performance.md"
CHART: Final = CHECKOUT / "docs" / "performance.svg"
BEGIN: Final = "<!-- What stands between these two lines is written by `make bench-gateway ARGS=--write`. -->"
END: Final = "<!-- That was it. -->"


class PageError(Exception):
    """The page has no place for what was measured, in one sentence."""


def tables(figures: Sequence[Figure], aims: Sequence[Aim]) -> str:
    """The aims, and below them every figure."""
    return f"{aims_table(aims)}\n\n{figures_table(figures)}"


def aims_table(aims: Sequence[Aim]) -> str:
    """A row for each aim: what, how much, at most how much, and whether it holds."""
    rows = [
        (aim.section, aim.name, f"{number(aim.value)} {aim.unit}", f"≤ {number(aim.most)}", _held(aim)) for aim in aims
    ]
    return _table(("Aim", "Of", "Measured", "Aimed at", "Holds"), rows)


def figures_table(figures: Sequence[Figure]) -> str:
    """A row for each figure, and a column for each of the settings that were measured."""
    measured = [name for name in NAMES if any(name in figure.values for figure in figures)]
    rows = [
        (
            figure.section,
            f"{figure.name}{f', {figure.unit}' if figure.unit else ''}",
            *(number(figure.values[name]) if name in figure.values else "" for name in measured),
        )
        for figure in figures
    ]
    return _table(("", "", *(TITLES[name] for name in measured)), rows)


def number(value: float) -> str:
    """A number with as many digits as mean something: 1,234, 56, 7.8, 0.12."""
    if value == round(value) or abs(value) >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"


def put(page: str, content: str) -> str:
    """The page with other content between the marks.

    Raises
    ------
    PageError
        It has not both marks, in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PageError(f"the page has no lines {BEGIN!r} and {END!r} to write between: put them back")
    return f"{before}{BEGIN}\n\n{content.strip()}\n\n{END}{after}"


def write(content: str, chart: str, *, page: Path = PAGE, picture: Path = CHART, model: Path | None = None) -> None:
    """Put content and chart into the documentation, and our figures into the file of the model, if it is named.

    Raises
    ------
    PageError
        There is no place for it, or the model needs a figure that was not measured. Nothing is written then.
    """
    shown = f"![What a request takes, as a share of the article's settings]({picture.name})"
    text = put(page.read_text("utf-8"), f"{shown}\n\n{content}")
    kept = measured(text) if model else ""
    picture.write_text(chart, "utf-8")
    if model:
        model.write_text(kept, "utf-8")
    page.write_text(text, "utf-8")


def measured(page: str) -> str:
    """`stacks/measured.json`, with which the model of `make size` reckons: our figures of the page's table.

    Raises
    ------
    PageError
        The table has not all of them, or is another one.
    """
    table = page.partition(BEGIN)[2].partition(END)[0]
    found: dict[tuple[str, str], float] = {}
    section = ours = ""
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if TITLES[OURS] in cells:
            ours = str(cells.index(TITLES[OURS]))
        elif ours and len(cells) > int(ours) and re.fullmatch(r"-?[\d,.]+", cells[int(ours)]):
            section = cells[0] or section
            found[section, cells[1]] = float(cells[int(ours)].replace(",", ""))
    cpu = {
        name.removesuffix(", ms"): _plain(value)
        for (of, name), value in found.items()
        if of == CPU and not name.startswith("at rest")
    }
    try:
        written = {
            "cpu_ms": cpu,
            "rows": found[DATABASE, "rows a request"],
            "resident_mib": _plain(found[MEMORY, "resident, MiB"]),
        }
    except KeyError as error:
        raise PageError(f"the table has no figure of {' '.join(error.args[0])}: measure it anew") from None
    return json.dumps(written, indent=2) + "\n"


def _plain(value: float) -> float:
    """A whole number without its point."""
    return int(value) if value == int(value) else value


def _held(aim: Aim) -> str:
    return "yes" if aim.holds else "**no**"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; what a first cell repeats from the row above is left out."""
    lines = [_row(heads), _row(["---", "---", *("---:" for _ in heads[2:])])]
    above = ""
    for row in rows:
        lines.append(_row((row[0] if row[0] != above else "", *row[1:])))
        above = row[0]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
