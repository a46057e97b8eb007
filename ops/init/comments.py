"""Comments of the files that are written."""

from __future__ import annotations

import textwrap
from typing import Final

WIDTH: Final = 120
"""Of the files that are written, in columns."""


def comment(text: str, indent: str = "") -> list[str]:
    """A text as lines of a comment."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
