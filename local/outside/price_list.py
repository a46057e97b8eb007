"""LiteLLM's list of models and prices: what a call costs, and which models a provider has.

It stands in for each provider's own list: a model that it does not have, the simulated provider does not have.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from local.outside.exchange import ApiError
from stacks import CHECKOUT


@cache
def prices() -> dict[str, dict[str, Any]]:
    """Return the list of the pinned LiteLLM, by LiteLLM's names for the models."""
    files = sorted((CHECKOUT / ".tools/litellm").glob("lib/*/site-packages/litellm/model_prices*backup.json"))
    if not files:
        raise ApiError(500, message="There is no price list to reckon a bill with: run make setup.")
    found: dict[str, dict[str, Any]] = json.loads(files[0].read_text())
    return found


def mode_of(provider: str, model: str) -> str | None:
    """Return what a model of a provider's is for, as in chat, responses or embedding; None if there is no such model.

    A model that somebody has tuned (ft:MODEL:ORGANIZATION:NAME:ID) is for what the one is that it is made of.
    """
    tuned = ":".join(model.split(":")[:2]) if model.startswith("ft:") else model
    for name in (f"{provider}/{tuned}", tuned):
        listed = prices().get(name, {})
        if listed.get("litellm_provider") == provider:
            return str(listed.get("mode", "chat"))
    return None
