"""What can go wrong with LiteLLM, Slack and SES, as the worker tells it apart: later it may work, or it never will."""

from __future__ import annotations

import re

_SECRET = re.compile(r"\b(?:sk-|xox[a-z]-|xapp-)\S+", re.IGNORECASE)
_ADDRESS = re.compile(r"[\w.+-]+@[\w.-]+")


class UnavailableError(Exception):
    """The other side did not do it now; asked again later, it may."""


class RefusedError(Exception):
    """The other side does not do it, however often it is asked.

    Attributes
    ----------
    status : int
        The HTTP status of the answer.
    reason : str
        The other side's own word for it, such as `team_member_already_in_team` or `MessageRejected`.
    """

    def __init__(self, sentence: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(sentence)
        self.status, self.reason = status, reason


def harmless(text: str) -> str:
    """Return what another system says, fit for a log: no key, no mail address, no more than 300 characters."""
    return _ADDRESS.sub("[address]", _SECRET.sub("[secret]", text))[:300]


def place_of(error: Exception) -> str:
    """Return file and line where an error nobody foresaw was raised: its message may quote what a person wrote."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
