"""What can go wrong with LiteLLM, Slack and the clouds' billing: later it may work, or it never will."""

from __future__ import annotations

import re

from shared.errors import RefusedError, UnavailableError

__all__ = ["RefusedError", "UnavailableError", "harmless"]

_SECRET = re.compile(r"\b(?:sk-|xox[a-z]-|xapp-)\S+", re.IGNORECASE)


def harmless(text: str) -> str:
    """Return what another system says, fit for a log: no key, on one line, no more than 300 characters."""
    return _SECRET.sub("[secret]", " ".join(text.split()))[:300]
