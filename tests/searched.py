"""Inputs are searched, not sampled: whatever Hypothesis draws is accepted, or answered in a sentence.

`make test` tries some, the same each time. A nightly run tries many: HYPOTHESIS_PROFILE=nightly. What it finds becomes
an example of its test, and the kind of it is mended.
"""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite

from tests.company.strategies import ODD, places, replaced

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"

DEEP = "[" * 100_000 + "]" * 100_000
"""JSON that no reader in Python takes: RecursionError, which is no ValueError."""

HALF = "\ud800"
"""Half a pair of surrogates, which JSON can carry ("\\ud800") and UTF-8 cannot."""


def searched(some: int, many: int) -> settings:
    """How many are tried: `some` in `make test`, the same each time, and `many` at night."""
    return settings(
        max_examples=many if NIGHTLY else some,
        derandomize=not NIGHTLY,
        database=None,
        deadline=None,
        print_blob=NIGHTLY,
        suppress_health_check=list(HealthCheck),
        # To make a finding smaller takes many more tries: that is for whoever mends it, and for the night.
        phases=tuple(Phase) if NIGHTLY else (Phase.explicit, Phase.generate),
    )


texts = st.one_of(st.text(max_size=40), st.sampled_from((HALF, f"a{HALF}", "\x00", "\u2028", "a\nb", "ü", "x" * 300)))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.sampled_from(ODD[:13]))
anything: SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=12,
)
"""Any JSON value, and what Python's reader of JSON takes beside them: NaN, infinity, half a surrogate."""


@composite
def amiss(draw: DrawFn, *right: Any) -> Any:  # noqa: ANN401 - any JSON
    """One of what is right, with something else in one or two places, or with a place left out."""
    written: Any = json.loads(json.dumps(draw(st.sampled_from(right))))
    for _ in range(draw(st.integers(1, 2))):
        if not (ways := places(written)):
            return draw(anything)
        path = draw(st.sampled_from(ways))
        written = without(written, path) if draw(st.booleans()) else replaced(written, path, draw(anything))
    return written


def without(written: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - any JSON
    """The same without what is in one place."""
    first, *rest = path
    if rest:
        return replaced(written, (first,), without(written[first], tuple(rest)))
    if isinstance(written, dict):
        return {key: value for key, value in written.items() if key != first}
    return [each for number, each in enumerate(written) if number != first]


@composite
def torn(draw: DrawFn, *right: str) -> str:
    """One of what is right as text, with a part of it left out, doubled, or replaced."""
    text = draw(st.sampled_from(right))
    start = draw(st.integers(0, len(text)))
    end = min(len(text), start + draw(st.integers(0, 40)))
    part = draw(
        st.one_of(st.just(""), st.just(text[start:end] * 2), texts, st.sampled_from(tuple("{}[]:,&*!|>'\"#%@`\t\r-?")))
    )
    return text[:start] + part + text[end:]


def is_sentence(text: str) -> bool:
    """Whether it is one line that reads as a sentence, and no trace of Python's."""
    return bool(text) and text == text.strip() and "\n" not in text and "Traceback" not in text
