"""Cards: the titled boxes of the picture, alone and beside each other, with their words fitted in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ops.diagram.svg import Box, text
from ops.diagram.words import LINE, TITLE, fits, wrapped

GAP = 16


@dataclass(frozen=True)
class Card:
    """What a titled box says, in the colour of its kind."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()

    def within(self, width: float) -> Card:
        """It, with every line wrapped to a width."""
        return Card(self.kind, self.title, tuple(piece for line in self.lines for piece in wrapped(line, width)))

    @property
    def height(self) -> int:
        """The least height that it needs."""
        return 30 + 16 * len(self.lines)


def card(box: Box, kind: str, title: str, *lines: str) -> Iterator[str]:
    """A titled box with a stripe in its kind's colour.

    Raises
    ------
    ValueError
        A line is too long for the box.
    """
    for words, size in ((title, TITLE), *((line, LINE) for line in lines)):
        if not fits(words, box.width, size):
            raise ValueError(f"ops/diagram: '{words}' does not fit in {box.width:g} pixels: shorten or wrap it")
    yield box.rect("card")
    yield Box(box.x, box.y + 6, 4, box.height - 12).rect(kind, radius=2)
    top = box.y + (box.height - 16 * len(lines)) / 2 + 4
    yield text(box.x + 16, top, title, "title")
    for number, line in enumerate(lines, start=1):
        yield text(box.x + 16, top + 16 * number, line, "line")


def row(left: float, width: float, count: int, gap: float = GAP) -> tuple[tuple[float, float], ...]:
    """The x and the width of each of `count` boxes beside each other."""
    each = (width - gap * (count - 1)) / count
    return tuple((left + number * (each + gap), each) for number in range(count))


def cards_in_a_row(left: float, top: float, width: float, cards: Sequence[Card], gap: float = GAP) -> dict[Box, Card]:
    """Cards beside each other, all as high as the highest."""
    places = row(left, width, len(cards), gap)
    fitted = [one.within(each) for one, (_, each) in zip(cards, places, strict=True)]
    height = max(one.height for one in fitted)
    return {Box(x, top, each, height): one for (x, each), one in zip(places, fitted, strict=True)}
