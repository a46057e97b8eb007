"""What several environments cost at rest, side by side: a table of `make about` and of docs/environments.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ops.cost.parts import at_rest, dollars
from ops.cost.prices import Prices
from ops.templates import Facts

SUM: Final = "Sum at rest"


def whole(amount: float) -> int:
    """Whole dollars, half a one rounded up."""
    return int(amount + 0.5)


def rows(environments: Sequence[Facts], prices: Prices) -> list[list[str]]:
    """Row by row without its head: what is billed, its price, and whole US dollars a month of each; then the sum.

    The sum is that of the exact figures, and so may differ by a dollar from that of the column.
    """
    columns = [{line.what: line for line in at_rest(facts, every=True)} for facts in environments]
    found = [
        [what, prices.told(line.usage), *(str(whole(dollars([column[what]], prices))) for column in columns)]
        for what, line in columns[0].items()
        if any(column[what].quantity for column in columns)
    ]
    sums = [str(whole(dollars(list(column.values()), prices))) for column in columns]
    return [*found, [SUM, "", *sums]]
