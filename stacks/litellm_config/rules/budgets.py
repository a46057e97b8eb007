"""Budgets: what LiteLLM does about them by its defaults that costs more, or helps less, than it has to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from stacks.litellm_config.rules.reading import Reading

CALLBACK: Final = "budgets.refusals"
"""What says to people that a budget is used up; it is container/budgets.py, where the status has its reason too."""
STATUS: Final = 400


def check(reading: Reading, callbacks: Collection[str]) -> None:
    """Warn of each of the four settings that a file from elsewhere lacks."""
    general, litellm = reading.section("general_settings"), reading.section("litellm_settings")
    if general.get("disable_budget_reservation") is not True:
        reading.warn(
            ("general_settings", "disable_budget_reservation"),
            "it is not true, so LiteLLM counts the tokens of every prompt of whoever has a budget before it is sent: "
            "four fifths of the CPU of what a coding agent sends. docs/costs.md says what a budget can be overspent by "
            "without",
        )
    if general.get("apply_user_budget_to_team_keys") is not True:
        reading.warn(
            ("general_settings", "apply_user_budget_to_team_keys"),
            "it is not true, so a key that somebody makes for a team is not held to their own budget: whoever is in a "
            "team without one may spend as much as they like",
        )
    if litellm.get("budget_exceeded_status_code") != STATUS:
        reading.warn(
            ("litellm_settings", "budget_exceeded_status_code"),
            f"it is not {STATUS}: tools try again after another status, and some do not show why they were refused",
        )
    if CALLBACK not in callbacks:
        reading.warn(
            ("litellm_settings", "callbacks"),
            f"there is no {CALLBACK}, so who has used up a budget is not told when it begins anew and how to ask for a "
            "larger one",
        )
