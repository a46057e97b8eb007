"""The sizes that docs/performance.md shows."""

from __future__ import annotations

from typing import Final

from ops.size.sizes import Size

SIZES: Final = (50, 500, 5000)  # people
HEAD: Final = (
    *("Tasks, fewest and most", "Aurora, ACU", "Requests in a working day"),
    *("Processors in the busiest minute", "Tasks at the most"),
)


def row(found: Size) -> list[str]:
    """The cells of one size, below `HEAD`."""
    return [
        f"{found.tasks.fewest} to {found.tasks.most}",
        f"{found.min_capacity:g} to {found.max_capacity:g}",
        f"{sum(map(found.company.requests, found.company.kinds)):,.0f}",
        f"{found.day.busiest.busy:.0%}",
        str(found.day.most_tasks),
    ]
