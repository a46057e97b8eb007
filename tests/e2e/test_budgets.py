"""Budgets, as they hold with every prompt unread: what they can be overspent by, and what is said at their end."""

import asyncio
import time
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import httpx
import pytest

from local.gateway import LocalGateway
from local.outside.records import Fault
from local.outside.world import OutsideWorld
from tests.e2e.conftest import eventually

Json = dict[str, Any]

CLAUDE, GPT, GEMINI = "claude-sonnet-5-5", "gpt-6.1-sol", "gemini-4-argon"
AT_ONCE = 50
BEDROCK = "bedrock-runtime.*.amazonaws.com"
PROMPT = "word " * 200
ROUTES: dict[str, Json] = {
    "/v1/chat/completions": {"model": CLAUDE, "messages": [{"role": "user", "content": PROMPT}]},
    "/v1/responses": {"model": GPT, "input": PROMPT},
    "/v1/messages": {"model": CLAUDE, "max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}]},
    f"/v1beta/models/{GEMINI}:generateContent": {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]},
}
CHAT = next(iter(ROUTES))


def new(gateway: LocalGateway, path: str, **settings: object) -> Json:
    answer = gateway.api("POST", path, json=settings)
    assert answer.is_success, answer.text
    made: Json = answer.json()
    return made


def person(gateway: LocalGateway, budget: float, **key: object) -> tuple[str, str]:
    """Make a user with a budget in US dollars and a key; return both."""
    user = f"budget-{time.monotonic_ns()}@example.com"
    new(
        gateway,
        "/user/new",
        user_id=user,
        user_email=user,
        max_budget=budget,
        budget_duration="30d",
        auto_create_key=False,
    )
    return user, new(gateway, "/key/generate", user_id=user, **key)["key"]


def ask(gateway: LocalGateway, key: str, path: str = CHAT, **more: object) -> httpx.Response:
    return gateway.api("POST", path, key=key, json={**ROUTES[path], **more})


def spent(gateway: LocalGateway, user: str) -> float:
    return float(gateway.api("GET", "/user/info", params={"user_id": user}).json()["user_info"]["spend"])


@pytest.fixture(scope="module")
def price(gateway: LocalGateway) -> float:
    """What one call costs."""
    return float(ask(gateway, person(gateway, 1)[1]).headers["x-litellm-response-cost"])


def test_a_budget_is_overspent_by_what_is_under_way_and_no_more(gateway: LocalGateway, price: float) -> None:
    user, key = person(gateway, 1.5 * price)

    async def at_once() -> list[int]:
        async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=120) as client:
            calls = [
                client.post(CHAT, headers={"authorization": f"Bearer {key}"}, json=ROUTES[CHAT]) for _ in range(AT_ONCE)
            ]
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    statuses = asyncio.run(at_once())
    answered = statuses.count(200)
    assert set(statuses) <= {200, 400, 503}  # a worker that is late refuses what is beyond twenty at once
    assert 2 <= answered <= AT_ONCE
    # A task counts a call's cost in the background, right after the answer: a next call may come before that.
    answered += len(list(takewhile(lambda status: status == 200, (ask(gateway, key).status_code for _ in range(20)))))
    assert ask(gateway, key).status_code == 400
    assert eventually(lambda: spent(gateway, user) >= answered * price * 0.999)
    assert spent(gateway, user) <= answered * price * 1.001


def test_calls_one_after_the_other_overspend_by_less_than_one(gateway: LocalGateway, price: float) -> None:
    user, key = person(gateway, 1.5 * price)
    for calls in (1, 2):
        assert ask(gateway, key).status_code == 200
        assert eventually(lambda calls=calls: spent(gateway, user) >= calls * price * 0.999)  # type: ignore[misc]
    assert [ask(gateway, key).status_code for _ in range(2)] == [400, 400]
    assert spent(gateway, user) <= 2 * price * 1.001


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_used_up_budget_is_said_in_one_sentence_on_each_route(gateway: LocalGateway, path: str, stream: bool) -> None:
    if stream and path.endswith(":generateContent"):
        answer = gateway.api(
            "POST",
            path.replace("generateContent", "streamGenerateContent"),
            key=person(gateway, 0)[1],
            params={"alt": "sse"},
            json=ROUTES[path],
        )
    else:
        answer = ask(gateway, person(gateway, 0)[1], path, **({"stream": True} if stream else {}))
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "budget_exceeded")
    assert "retry-after" not in answer.headers
    assert error["message"].startswith("Your budget of 0 US dollars is used up. It begins anew on 20")
    onboarding = gateway.environment.onboarding
    assert onboarding
    assert error["message"].endswith(f"ask for a larger one with {onboarding.command} in Slack.")


@pytest.mark.parametrize(
    ("whose", "words"),
    [
        ("key", "The budget of 0 US dollars of this key (laptop-"),
        ("team", "of the team (search-"),
        ("end_user", "of the end user that this call names is used up"),
    ],
)
def test_each_kind_of_budget_says_whose_it_is(gateway: LocalGateway, price: float, whose: str, words: str) -> None:
    number = time.monotonic_ns()
    settings: Json = {"key_alias": f"laptop-{number}"}
    more: Json = {}
    if whose == "key":
        settings["max_budget"] = 0
    elif whose == "team":
        settings["team_id"] = new(gateway, "/team/new", team_alias=f"search-{number}", max_budget=price / 2)["team_id"]
    else:
        new(gateway, "/customer/new", user_id=f"end-{number}", max_budget=price / 2)
        more["user"] = f"end-{number}"
    _, key = person(gateway, 1, **settings)
    if whose != "key":  # LiteLLM refuses these above the budget, not at it
        assert ask(gateway, key, **more).is_success
    eventually(lambda: ask(gateway, key, **more).status_code == 400)
    answer = ask(gateway, key, **more)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "budget_exceeded")
    assert words in answer.json()["error"]["message"]


def test_a_key_made_for_a_team_is_held_to_its_owners_budget(gateway: LocalGateway) -> None:
    """People make such keys themselves: without this they would have no budget."""
    team = new(gateway, "/team/new", team_alias=f"unlimited-{time.monotonic_ns()}")["team_id"]
    answer = ask(gateway, person(gateway, 0, team_id=team)[1])
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "budget_exceeded")
    assert answer.json()["error"]["message"].startswith("Your budget of 0 US dollars is used up.")


def left(gateway: LocalGateway, key: str) -> None:
    """Ask for a stream, and be gone after its first bytes."""
    body = {**ROUTES[CHAT], "stream": True}
    headers = {"authorization": f"Bearer {key}"}
    with (
        httpx.Client(base_url=gateway.url, trust_env=False, timeout=60) as client,
        client.stream("POST", CHAT, headers=headers, json=body) as answer,
    ):
        assert next(_chunks(answer))


def _chunks(answer: httpx.Response) -> Iterator[bytes]:
    yield from answer.iter_bytes()


def test_failed_and_left_calls_leave_nothing_reserved(
    gateway: LocalGateway, outside: OutsideWorld, price: float
) -> None:
    """What was set aside for a call and never given back would refuse the next: a budget of a few calls shows it."""
    _, key = person(gateway, 10 * price)
    for host in ("*.openai.azure.com", BEDROCK):
        outside.set_fault(host, Fault(status=400))
    for _ in range(5):
        error = ask(gateway, key, "/v1/responses").json()["error"]
        assert error["type"] != "budget_exceeded"
    outside.clear_fault()
    outside.set_fault("*.openai.azure.com", Fault(status=500))
    assert ask(gateway, key, "/v1/responses").status_code == 200  # by its substitute, and paid for once
    outside.clear_fault()
    outside.set_fault(BEDROCK, Fault(chunk_delay_seconds=0.05))
    for _ in range(3):
        left(gateway, key)
    outside.clear_fault()
    assert ask(gateway, key).status_code == 200
