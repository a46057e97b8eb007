"""The few numbers that many measurements are told by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """Three percentiles of the same measurements."""

    p50: float
    p95: float
    p99: float

    def above(self, other: Spread) -> Spread:
        """How far each is above another's: what is added between two measurements."""
        return Spread(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least `percent` of them are not above (nearest rank).

    Raises
    ------
    ValueError
        There are none.
    """
    if not values:
        raise ValueError("there is nothing to take a percentile of")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def spread(values: Sequence[float]) -> Spread:
    """The percentiles of some values; ValueError if there are none."""
    return Spread(*(percentile(values, percent) for percent in (50, 95, 99)))
