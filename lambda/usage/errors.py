"""What can go wrong with LiteLLM, Slack and the clouds' billing: later it may work, or it never will."""

from __future__ import annotations

import re

_SECRET = re.compile(r"\b(?:sk-|xox[a-z]-|xapp-)\S+", re.IGNORECASE)


class UnavailableError(Exception):
    """The other side did not do it now; asked again later, it may. The message is one sentence."""


class RefusedError(Exception):
    """The other side does not do it, however often it is asked. The message is one sentence that says what to do.

    Attributes
    ----------
    reason : str
        The other side's own word for it, such as `no_such_subteam`.
    """

    def __init__(self, sentence: str, *, reason: str = "") -> None:
        super().__init__(sentence)
        self.reason = reason


def harmless(text: str) -> str:
    """Return what another system says, fit for a log: no key, on one line, no more than 300 characters."""
    return _SECRET.sub("[secret]", " ".join(text.split()))[:300]
