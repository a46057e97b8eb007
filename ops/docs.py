"""Writes what the documentation, and a function, take from the code: `make docs`.

Pages of their own are the settings, the commands, the clients, the permissions, the findings of others' rules and the
licences; the alarms are tables within a page.
In the pages on environments the figures of the example and of what it costs are put where they stand, and in that on
performance what the model makes of what was measured; `stacks/measured.json`, which the model reads, has the figures of
that page. (Where these have changed, the model knows them the next time.) The words around them stay as somebody wrote
them. The comparison of bills has its providers from a file beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ops import about, alarms_reference, bill_providers, commands_reference, permissions_reference, settings_reference
from ops.access import OpsError, run
from ops.audit import answers, licences
from ops.bench_gateway import page as bench_page
from ops.clients import page as clients_page
from ops.cost import guidance
from ops.cost.prices import prices_of
from ops.cost.table import rows
from ops.size import table as size_table
from ops.size.people import company as of_users
from ops.size.sizes import size
from ops.templates import Facts, synthesize
from stacks import CHECKOUT
from stacks.company import EXAMPLE, Company, company
from stacks.measured import FILE

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "docs/environments.md": {},
    "docs/environments.ja.md": {"yes": "あり", "no": "なし", "always": "常時", "a machine": "小さなマシン"},
}
"""The pages with the example's environments and their costs, and the words of a table that are translated in each."""


def files(own: Company) -> dict[Path, str]:
    """Every file that is made, or has a part that is, as it should be; `own` is the example company."""
    environments = list(own.environments.values())
    facts = {name: Facts(synthesize(name)) for name in own.all}
    figures = [row[1:] for row in about.differences(environments)]
    prices = prices_of(environments[0].region)
    dollars = [row[1:] for row in rows([facts[one.name] for one in environments], prices)]
    head = tuple(own.environments)
    beside = [[f"{dollars:.2f}" for dollars in one[1:]] for one in guidance.compared(facts["prod"])]
    found = {
        settings_reference.PAGE: settings_reference.document(),
        **commands_reference.documents(),
        **clients_page.documents(own),
        alarms_reference.PAGE: alarms_reference.document(facts.values()),
        permissions_reference.PAGE: permissions_reference.document(facts[permissions_reference.ENVIRONMENT]),
        answers.PAGE: answers.document(),
        bill_providers.FILE: bill_providers.document(),
        licences.PAGE: licences.document(),
        **_of_the_model(bench_page.PAGE.read_text("utf-8")),
    }
    for name, words in WORDS.items():
        text = (CHECKOUT / name).read_text("utf-8")
        # The first row of the first table, what each environment is for, is prose.
        translated = [[words.get(cell, cell) for cell in row] for row in figures]
        text = filled(text, ("", *head), translated, 1)
        text = filled(text, head, dollars, 0)
        found[CHECKOUT / name] = filled(text, ("AWS", "prod", "prod*"), beside, 0)
    return found


def _of_the_model(page: str) -> dict[Path, str]:
    """The bench's figures where the model has them, and what the model makes of them, in the page of both."""
    sizes = [size_table.row(size(of_users(users))) for users in size_table.SIZES]
    return {FILE: bench_page.measured(page), bench_page.PAGE: filled(page, size_table.HEAD, sizes, 0)}


def filled(text: str, head: Sequence[str], rows: Sequence[Sequence[str]], skip: int) -> str:
    """The text with the last cells of a table's rows replaced; the table is the one whose head ends in `head`.

    Raises
    ------
    OpsError
        It has more rows or fewer, so that a figure would stand beside another's words.
    """
    lines = text.split("\n")
    end = f"| {' | '.join(head)} |".replace("|  |", "| |")
    starts = [at for at, line in enumerate(lines) if (line == end if not head[0] else line.endswith(f" {end}"))]
    (start,) = [at for at in starts if lines[at].startswith("| | ") == (not head[0])]
    first = start + 2 + skip
    has = next(at for at, line in enumerate(lines) if at > start and not line.startswith("|")) - first
    if has != len(rows):
        raise OpsError(f"the table {end!r} has {has} rows, and there are {len(rows)}: give each its words by hand")
    for at, row in enumerate(rows, start=first):
        cells = lines[at].strip("|").split("|")
        kept = cells[: len(cells) - len(row)]
        lines[at] = "|".join(["", *kept, *(f" {cell} " if cell else " " for cell in row), ""])
    return "\n".join(lines)


def main() -> int:
    """Write them, and return the exit code."""

    def work() -> int:
        own = company()
        if own.folder != EXAMPLE:
            print("make docs writes the product's pages, of its example: run it with COMPANY=tests/companies/tokyo")
            return 2
        for file, text in files(own).items():
            if file.read_text("utf-8") != text if file.exists() else True:
                file.write_text(text, "utf-8")
                print(f"written: {file.relative_to(CHECKOUT)}")
        return 0

    return run("docs", work)


if __name__ == "__main__":
    sys.exit(main())
