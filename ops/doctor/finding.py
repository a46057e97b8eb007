"""What a check finds: a line of `make doctor`, with how it is and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How a check ended."""

    WELL = "ok"
    PROBLEM = "problem"
    UNKNOWN = "?"
    ABSENT = "-"  # there is no such thing where AWS is emulated


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what to do if it is not well."""

    what: str
    mark: Mark
    detail: str
    remedy: str = ""


def well(what: str, detail: str) -> Finding:
    """A finding that needs nothing done."""
    return Finding(what, Mark.WELL, detail)


def problem(what: str, detail: str, remedy: str) -> Finding:
    """A finding that somebody has to mend, and how."""
    return Finding(what, Mark.PROBLEM, detail, remedy)
