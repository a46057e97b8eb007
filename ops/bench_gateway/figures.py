"""What was measured, and what is aimed at: figures, aims, and whether each holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ops.bench_gateway.configurations import ARTICLE, OURS

CPU: Final = "Processor time of one request"
CAPACITY: Final = "Requests a second and vCPU"
FIRST: Final = "Time to the first token of a large prompt"
ADDED: Final = "Latency that is added, at half load"
CHUNKS: Final = "Time between two chunks of a small stream, p99"
OVERLOAD: Final = "Twice the load that it can take"
BURST: Final = "Many keys at once"
FALLBACK: Final = "A fallback"
MODEL: Final = "The model of `make size`, at half of a processor"
MEMORY: Final = "Memory"
DATABASE: Final = "Database"
SPEND: Final = "Spend"
FAILED: Final = "Requests"

ALONE: Final = "alone"
BESIDE: Final = "beside four large prompts"
GROWTH: Final = "growth over"
NOT_WHOLE: Final = "not answered whole, but for those at twice the load"
LOST: Final = "calls that the spend has not, or has otherwise"

# Of the article's settings in the same run, by the beginning of a figure's name. They are what this gateway promises;
# docs/performance.md says what stands behind each.
RATIOS: Final[Mapping[tuple[str, str], float]] = {
    (CPU, "short"): 0.75,
    (CPU, "400 KB"): 0.33,
    (CPU, "1600 KB"): 0.15,
    (ADDED, "plain, p99"): 0.5,
    (ADDED, "first token, p99"): 0.5,
}
CHUNKS_AIM: Final = 1.5  # times what it is alone
GROWTH_AIM: Final = 5.0  # percent


@dataclass(frozen=True)
class Figure:
    """One measurement of each of the compared settings, by their names."""

    section: str
    name: str
    unit: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Aim:
    """What is promised of a figure: a value that it must not be above."""

    section: str
    name: str
    value: float
    most: float
    unit: str

    @property
    def holds(self) -> bool:
        """Whether it is kept."""
        return self.value <= self.most


def aims(figures: Sequence[Figure]) -> list[Aim]:
    """The aims that these figures decide on; one whose figures were not measured is not among them."""
    return list(_aims(figures))


def _aims(figures: Sequence[Figure]) -> Iterator[Aim]:
    for figure in figures:
        if OURS not in figure.values:
            continue
        mine = figure.values[OURS]
        for (section, beginning), most in RATIOS.items():
            if figure.section == section and figure.name.startswith(beginning) and ARTICLE in figure.values:
                ratio = mine / figure.values[ARTICLE] if figure.values[ARTICLE] > 0 else 0.0
                yield Aim(section, figure.name, ratio, most, "of the article's")
        if figure.section == CHUNKS and figure.name == BESIDE:
            alone = next(each.values[OURS] for each in figures if (each.section, each.name) == (CHUNKS, ALONE))
            yield Aim(CHUNKS, BESIDE, mine / alone, CHUNKS_AIM, "times alone")
        if figure.section == MEMORY and figure.name.startswith(GROWTH):
            yield Aim(MEMORY, figure.name, mine, GROWTH_AIM, "%")
        if figure.section == SPEND and figure.name == LOST:
            yield Aim(SPEND, LOST, mine, 0, "calls")
        if figure.section == FAILED and figure.name == NOT_WHOLE:
            yield Aim(FAILED, NOT_WHOLE, mine, 0, "requests")
