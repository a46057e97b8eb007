"""What a person may ask for: the same four answers from the workflow's step, the modal and the approvers' buttons."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from onboarding.environment import Settings

PURPOSE_LENGTH = 300  # characters: with its escapes it fits into a button's value, of 2,000 at most
USER_ID = re.compile(r"[UW][A-Z0-9]{6,20}")  # W… in an Enterprise organisation


@dataclass(frozen=True, kw_only=True)
class Form:
    """The answers, checked; `max_budget` in US dollars, None for the default."""

    who: str
    team: str
    purpose: str
    max_budget: float | None


class FormError(ValueError):
    """Some answers are no good: `problems` has for each of these fields the problem's name in modal.Texts."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(f"answers that are no good: {', '.join(problems)}")
        self.problems = problems


def highest_budget(settings: Settings) -> float:
    """The most that can be asked for, in US dollars: without approvers nobody gets more than the default."""
    return settings.budget_ceiling if settings.approver_group else settings.max_budget


def read(answers: Mapping[str, object], settings: Settings) -> Form:
    """The form with these answers; spaces and line breaks in the purpose become single spaces.

    Raises
    ------
    FormError
        An answer is missing, of another type, or not one of those that the settings allow.
    """
    problems: dict[str, str] = {}
    who, purpose, budget = answers.get("who"), answers.get("purpose"), answers.get("max_budget")
    if not (isinstance(who, str) and USER_ID.fullmatch(who)):
        problems["who"] = "who_unknown"
    team = _team(answers.get("team"), settings)
    if team is None:
        problems["team"] = "team_unknown"
    # Half a surrogate pair, which JSON can carry, could not be written anywhere.
    text = " ".join(purpose.encode(errors="ignore").decode().split()) if isinstance(purpose, str) else ""
    if not text:
        problems["purpose"] = "purpose_empty"
    elif len(text) > PURPOSE_LENGTH:
        problems["purpose"] = "purpose_long"
    max_budget = None if budget is None or budget == "" else _dollars(budget)
    if max_budget is not None and not 0 < max_budget <= highest_budget(settings):
        problems["max_budget"] = "budget_wrong"
    if problems:
        raise FormError(problems)
    return Form(who=str(who), team=str(team), purpose=text, max_budget=max_budget)


def _team(answer: object, settings: Settings) -> str | None:
    names = {name.casefold(): name for name in settings.teams}
    return names.get(answer.strip().casefold()) if isinstance(answer, str) else None


def _dollars(answer: object) -> float:
    """The number; not a number if it is none. A workflow's variable and the modal's number come as text."""
    if isinstance(answer, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", answer.strip()):
        return float(answer)
    is_number = isinstance(answer, (int, float)) and not isinstance(answer, bool)
    # An integer of hundreds of digits is no float any more.
    return float(answer) if is_number and abs(answer) < 1e9 else math.nan  # type: ignore[arg-type]
