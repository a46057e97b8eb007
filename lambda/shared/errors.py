"""How another system fails: later it may work, or it never will. And what of its words is fit for a log."""

from __future__ import annotations

import re

# Keys and tokens by their beginnings, JSON Web Tokens, and what stands where a secret is sent: services have repeated
# whole requests in their errors.
_SECRET = re.compile(
    r"\b(?:sk-|xox[a-z]-|xapp-|eyJ)\S+|(?<=\bBearer )\S+|(?<=\bclient_secret=)[^\s&]+|(?<=\bassertion=)[^\s&]+",
    re.IGNORECASE,
)


class UnavailableError(Exception):
    """The other side did not do it now; asked again later, it may. The message is one sentence."""


class RefusedError(Exception):
    """The other side does not do it, however often it is asked. The message is one sentence.

    Attributes
    ----------
    status : int
        The HTTP status of the answer, 0 if there was none.
    reason : str
        The other side's own word for it, such as `team_member_already_in_team` or `MessageRejected`.
    """

    def __init__(self, sentence: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(sentence)
        self.status, self.reason = status, reason


def harmless(text: str) -> str:
    """Return what another system says, fit for a log: no key, on one line, no more than 300 characters."""
    return _SECRET.sub("[secret]", " ".join(text.split()))[:300]
