"""What environments cost at rest, side by side and before and after: for `make about`, `make diff` and the pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ops.cost.parts import at_rest, dollars
from ops.cost.prices import Prices, known_regions, prices_of
from ops.templates import Facts, Templates

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


def difference(old: Templates, new: Templates, region: str) -> str | None:
    """What a change of an environment's templates costs a month at rest, in a sentence.

    None if that is less than a dollar, or if nothing is known of the region's prices.
    """
    if region not in known_regions():
        return None
    prices = prices_of(region)
    before, after = (dollars(at_rest(Facts(templates)), prices) for templates in (old, new))
    if abs(after - before) < 1:
        return None
    compared = f", {whole(abs(after - before))} {'more' if after > before else 'less'} than now" if before else ""
    return f"At rest it will cost {whole(after):,} USD a month{compared} (make cost has the parts, and their prices)."
