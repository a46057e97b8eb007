"""What to do about an unknown word."""

from __future__ import annotations

from collections.abc import Iterable

FEW = 10
"""So many known words are named, if none is close."""

_OPPOSITES = (("min", "max"), ("enable", "disable"))
"""A slip of the pen makes none of them into the other: who wrote it meant it."""


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that this one is a slip of: a letter or two are others, or a part at its end is missing."""
    allowed = 0 if len(word) < 3 else 1 if len(word) <= 5 else 2  # letters
    near = [
        (distance, other)
        for other in known
        if abs(len(other) - len(word)) <= allowed or other.startswith(word)
        for distance in [_distance(word, other)]
        if (distance <= allowed or other.startswith(f"{word}_")) and not _is_opposite(word, other)
    ]
    return min(near)[1] if near else None


def suggestion(word: str, known: Iterable[str], otherwise: str) -> str:
    """The closest known word, or all of them if they are few, or else what is said otherwise."""
    words = sorted(known)
    if close := closest(word, words):
        return f"did you mean {close!r}"
    return f"use one of {', '.join(words)}" if 0 < len(words) <= FEW else otherwise


def _is_opposite(word: str, other: str) -> bool:
    return any((one in word and two in other) or (two in word and one in other) for one, two in _OPPOSITES)


def _distance(one: str, other: str) -> int:
    """How many letters are added, left out, replaced, or changed places with the next (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        older, before, row = before, row, [i]
        for j, another in enumerate(other, start=1):
            steps = [before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != another)]
            if i > 1 and j > 1 and (letter, one[i - 2]) == (other[j - 2], another):
                steps.append(older[j - 2] + 1)
            row.append(min(steps))
    return row[-1]
