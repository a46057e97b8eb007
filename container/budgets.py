"""What a person or an agent is told whose budget is used up: which budget, until when, and what to do.

LiteLLM refuses the call by itself, before it reads more of it than the model's name, and would say
"ExceededBudget: User=… over budget". It asks its callbacks whether they have a better answer to what failed
(`ProxyLogging.post_call_failure_hook`, which takes an HTTPException for one), and makes each route's answer of that:
`{"error": {"message": …, "type": "budget_exceeded", "code": …}}`, where every SDK looks for the words.

The status is LiteLLM's setting `budget_exceeded_status_code`. config.yaml has 400: tools give up at once and show the
words. They take 429 and 5xx for something that passes, and Codex also 402, 403 and 422.

config.yaml names `budgets.refusals` as a callback; LiteLLM imports this module from the folder of the file.
"""

import logging
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import HTTPException
from litellm.exceptions import BudgetExceededError
from litellm.integrations.custom_logger import CustomLogger

_log = logging.getLogger("LiteLLM")


class BudgetUsedUpError(HTTPException, BudgetExceededError):
    """LiteLLM's refusal with other words: an HTTPException, or it is not taken; its own error, or its type is lost."""

    def __init__(self, refused: BudgetExceededError, words: str) -> None:
        HTTPException.__init__(self, status_code=refused.status_code, detail=words)
        self.message = words
        self.current_cost, self.max_budget = refused.current_cost, refused.max_budget
        self.llm_provider, self.entity_type, self.entity_id = (
            refused.llm_provider,
            refused.entity_type,
            refused.entity_id,
        )


class Refusals(CustomLogger):
    """Says it in words that help."""

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,  # noqa: ANN401 - LiteLLM's UserAPIKeyAuth
        traceback_str: str | None = None,
    ) -> HTTPException | None:
        """Return the answer to a call that a budget refuses; None to every other failure."""
        if not isinstance(original_exception, BudgetExceededError):
            return None
        return BudgetUsedUpError(original_exception, await sentence(original_exception, user_api_key_dict))


async def sentence(refused: BudgetExceededError, caller: Any) -> str:  # noqa: ANN401
    """Return which budget is used up, when it begins anew if it does, and what to do; `caller` is a UserAPIKeyAuth."""
    kind, amount = str(refused.entity_type), _dollars(refused.max_budget)
    command, url = os.environ.get("BUDGET_COMMAND"), os.environ.get("PROXY_BASE_URL", "").rstrip("/")
    manager = "ask an administrator of the gateway"
    key, team = (
        getattr(caller, "key_alias", None),
        getattr(caller, "team_alias", None) or getattr(caller, "team_id", None),
    )
    if kind == "user":
        what = f"Your budget of {amount} US dollars is used up."
        do = f"ask for a larger one with {command} in Slack" if command else f"{manager} for a larger one"
    elif kind == "key":
        what = f"The budget of {amount} US dollars of this key{_named(key)} is used up."
        do = f"use another key of yours, or make one under Virtual Keys at {url}/ui/"
    elif kind == "team_member":
        what = f"Your budget of {amount} US dollars in the team{_named(team)} is used up."
        do = f"{manager} for a larger one"
    elif kind == "team":
        what = f"The budget of {amount} US dollars of the team{_named(team)} is used up, for all of its members."
        do = f"{manager} for a larger one"
    elif kind == "end_user":
        what = f"The budget of {amount} US dollars of the end user that this call names is used up."
        do = f"{manager} for a larger one, or whoever runs the program that you use"
    else:
        what = f"A budget of {amount} US dollars that this call counts against is used up ({kind.replace('_', ' ')})."
        do = manager
    resets = await _resets(kind, caller)
    if resets is None:
        return f"{what} To go on, {do}."
    return f"{what} It begins anew on {resets.astimezone(UTC):%Y-%m-%d at %H:%M} UTC. To go on before that, {do}."


def _named(name: str | None) -> str:
    return f" ({name})" if name else ""


def _dollars(amount: float) -> str:
    return f"{amount:.6f}".rstrip("0").rstrip(".")


async def _resets(kind: str, caller: Any) -> datetime | None:  # noqa: ANN401
    """Return when a budget begins anew, as LiteLLM remembers its owner; None if it does not, or cannot be found out."""
    look: dict[str, Callable[[Any], Awaitable[Any]]] = {"key": _key, "user": _user, "team": _team}
    try:
        owner = await look[kind](caller) if kind in look else None
    except Exception:  # the answer is a refusal all the same
        _log.exception("When a budget begins anew could not be found out")
        return None
    resets: datetime | None = getattr(owner, "budget_reset_at", None)
    return resets.replace(tzinfo=resets.tzinfo or UTC) if resets else None


async def _key(caller: Any) -> Any:  # noqa: ANN401
    return caller


async def _user(caller: Any) -> Any:  # noqa: ANN401
    from litellm.proxy import proxy_server  # it imports this module's callback
    from litellm.proxy.auth.auth_checks import get_user_object

    return await get_user_object(
        caller.user_id, proxy_server.prisma_client, proxy_server.user_api_key_cache, user_id_upsert=False
    )


async def _team(caller: Any) -> Any:  # noqa: ANN401
    from litellm.proxy import proxy_server  # it imports this module's callback
    from litellm.proxy.auth.auth_checks import get_team_object

    return await get_team_object(caller.team_id, proxy_server.prisma_client, proxy_server.user_api_key_cache)


refusals = Refusals()
