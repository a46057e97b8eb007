"""Words that have room: how wide they are, where they break, and how lists and numbers are told in short."""

from __future__ import annotations

import re
from collections.abc import Sequence

LINE, TITLE = 11, 13  # sizes of letters
MARGINS = 26  # of a card, left and right together


def span(words: str, size: int = LINE) -> float:
    """How wide a line is in the widest of the usual fonts."""
    return len(words) * size * 0.53


def fits(words: str, width: float, size: int = LINE) -> bool:
    """Whether a line has room in a card."""
    return span(words, size) <= width - MARGINS


def wrapped(words: str, width: float, most: int = 3) -> list[str]:
    """Words in lines that have room in a card of this width; what is longer than `most` lines ends in an ellipsis.

    A line breaks between words, and within one that is too long by itself (a host name, a command) at its own joints.
    """
    limit = int((width - MARGINS) / span("m"))
    pieces: list[str] = []
    for word in words.split():
        joints = [word] if len(word) <= limit else re.split(r"(?<=[-_,/])|(?=\.)", word)
        chunks = [part[at : at + limit] for part in joints for at in range(0, len(part), limit)]
        pieces += [*chunks[:-1], f"{chunks[-1]} "]
    lines = [""]
    for piece in pieces:
        if len(lines[-1] + piece.rstrip()) > limit:
            lines.append("")
        lines[-1] += piece
    lines = [line.strip() for line in lines]
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1][: limit - 1]}…"]


def joined(words: Sequence[str], limit: float) -> str:
    """A list in one line of at most `limit` characters: the first ones, and how many more there are."""
    for count in range(len(words), 0, -1):
        rest = f" and {len(words) - count} more" if count < len(words) else ""
        if len(line := ", ".join(words[:count]) + rest) <= limit:
            return line
    return f"{len(words)} of them"


def ranges(cidrs: Sequence[str]) -> tuple[str, ...]:
    """The first range, and in another line how many more there are."""
    more = len(cidrs) - 1
    return (cidrs[0], *([f"and {more} more range{'s' * (more > 1)}"] if more else []))


def number(count: int, one: str, many: str | None = None) -> str:
    """A number of things, in words."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"
