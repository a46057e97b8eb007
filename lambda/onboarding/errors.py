"""What can go wrong with LiteLLM, Slack and SES, as the worker tells it apart: later it may work, or it never will."""

from __future__ import annotations

import re

from shared.errors import RefusedError, UnavailableError

__all__ = ["RefusedError", "UnavailableError", "harmless", "place_of"]

_SECRET = re.compile(r"\b(?:sk-|xox[a-z]-|xapp-)\S+", re.IGNORECASE)
_ADDRESS = re.compile(r"[\w.+-]+@[\w.-]+")


def harmless(text: str) -> str:
    """Return what another system says, fit for a log: no key, no mail address, no more than 300 characters."""
    return _ADDRESS.sub("[address]", _SECRET.sub("[secret]", text))[:300]


def place_of(error: Exception) -> str:
    """Return file and line where an error nobody foresaw was raised: its message may quote what a person wrote."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
