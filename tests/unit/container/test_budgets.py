"""What is said to whom a budget refuses, on a stand-in for LiteLLM; tests/e2e/test_budgets.py has the real one."""

import asyncio
import sys
import types
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from stacks.litellm_config.rules.budgets import CALLBACK
from tests.unit.container.loading import loaded, stand_in

RESET = datetime(2026, 12, 1, tzinfo=UTC)
CALLER = SimpleNamespace(key_alias="laptop", user_id="ana", team_alias="search", team_id="t1", budget_reset_at=RESET)


class HttpError(Exception):
    def __init__(self, status_code: int, detail: str) -> None:
        self.status_code, self.detail = status_code, detail


class BudgetError(Exception):
    """LiteLLM's, as its exceptions.py has it."""

    status_code, current_cost, llm_provider, entity_id = 400, 101.0, "", "x"

    def __init__(self, entity_type: str, max_budget: float = 100.0) -> None:
        self.entity_type, self.max_budget = entity_type, max_budget


async def owner(*_: object, **__: object) -> SimpleNamespace:
    return SimpleNamespace(budget_reset_at=RESET)


async def nobody(*_: object, **__: object) -> None:
    raise ConnectionError("The database is away.")


@pytest.fixture
def budgets(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    parts: dict[str, dict[str, Any]] = {
        "fastapi": {"HTTPException": HttpError},
        "litellm": {},
        "litellm.exceptions": {"BudgetExceededError": BudgetError},
        "litellm.integrations": {},
        "litellm.integrations.custom_logger": {"CustomLogger": object},
        "litellm.proxy": {"proxy_server": SimpleNamespace(prisma_client=None, user_api_key_cache=None)},
        "litellm.proxy.auth": {},
        "litellm.proxy.auth.auth_checks": {"get_user_object": owner, "get_team_object": owner},
    }
    stand_in(monkeypatch, parts)
    monkeypatch.setenv("BUDGET_COMMAND", "/llm-account")
    monkeypatch.setenv("PROXY_BASE_URL", "https://llm.example.com")
    return loaded("budgets")


def said(budgets: types.ModuleType, error: Exception) -> Any:  # noqa: ANN401
    module, name = CALLBACK.split(".")
    assert module == budgets.__name__
    return asyncio.run(getattr(budgets, name).async_post_call_failure_hook({}, error, CALLER))


AGAIN = "It begins anew on 2026-12-01 at 00:00 UTC. To go on before that,"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("user", f"Your budget of 100 US dollars is used up. {AGAIN} ask for a larger one with /llm-account in Slack."),
        (
            "key",
            f"The budget of 100 US dollars of this key (laptop) is used up. {AGAIN} use another key of yours, or make "
            "one under Virtual Keys at https://llm.example.com/ui/.",
        ),
        (
            "team",
            f"The budget of 100 US dollars of the team (search) is used up, for all of its members. {AGAIN} ask an "
            "administrator of the gateway for a larger one.",
        ),
        (
            "team_member",
            "Your budget of 100 US dollars in the team (search) is used up. To go on, ask an administrator of the "
            "gateway for a larger one.",
        ),
        (
            "end_user",
            "The budget of 100 US dollars of the end user that this call names is used up. To go on, ask an "
            "administrator of the gateway for a larger one, or whoever runs the program that you use.",
        ),
        (
            "organization",
            "A budget of 100 US dollars that this call counts against is used up (organization). To go on, ask an "
            "administrator of the gateway.",
        ),
    ],
)
def test_each_budget_has_its_sentence(budgets: types.ModuleType, kind: str, words: str) -> None:
    answer = said(budgets, BudgetError(kind))
    assert (answer.status_code, answer.detail, answer.message) == (400, words, words)
    assert isinstance(answer, HttpError)
    assert isinstance(answer, BudgetError)  # or LiteLLM calls it an auth_error


def test_without_a_command_an_administrator_is_asked(
    budgets: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BUDGET_COMMAND")
    assert said(budgets, BudgetError("user", 0.25)).detail.startswith("Your budget of 0.25 US dollars is used up.")
    assert said(budgets, BudgetError("user")).detail.endswith("ask an administrator of the gateway for a larger one.")


def test_a_day_that_cannot_be_found_out_is_left_out(budgets: types.ModuleType) -> None:
    vars(sys.modules["litellm.proxy.auth.auth_checks"])["get_user_object"] = nobody
    words = "Your budget of 100 US dollars is used up. To go on, ask for a larger one with /llm-account in Slack."
    assert said(budgets, BudgetError("user")).detail == words


def test_other_failures_are_left_alone(budgets: types.ModuleType) -> None:
    assert said(budgets, ValueError("other")) is None
