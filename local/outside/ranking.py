"""Documents by how much of a query they have, as the simulated models that rerank say it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORD = re.compile(r"\w+")


def ranked(query: str, documents: Sequence[str], wanted: int | None = None) -> list[tuple[int, float]]:
    """Return the places of the documents and the share of the query's words that each has, the best first.

    `wanted` is how many at most; all of them if it is not said.
    """
    asked = _words(query)
    scores = [round(len(asked & _words(text)) / max(len(asked), 1), 6) for text in documents]
    places = sorted(range(len(scores)), key=lambda at: (-scores[at], at))
    return [(at, scores[at]) for at in places[:wanted]]


def _words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(text))
