"""What can go wrong with LiteLLM, Slack and SES, as the worker tells it apart: later it may work, or it never will."""

from __future__ import annotations

import re

from shared import errors
from shared.errors import RefusedError, UnavailableError

__all__ = ["RefusedError", "UnavailableError", "harmless", "place_of"]

_ADDRESS = re.compile(r"[\w.+-]+@[\w.-]+")


def harmless(text: str) -> str:
    """Return what another system says, fit for a log: as in `shared.errors`, and without mail addresses."""
    return errors.harmless(_ADDRESS.sub("[address]", text))


def place_of(error: Exception) -> str:
    """Return file and line where an error nobody foresaw was raised: its message may quote what a person wrote."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
