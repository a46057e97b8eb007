"""Providers with an API of their own, and servers: what goes wrong there, a budget on them, and what is not recorded.

Each has a host of its own here, so that all are tried at once (`tried`), and each test looks at one side of it.
"""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest

from local.gateway import LocalGateway
from local.outside import anthropic, gemini, mistral, openai
from local.outside.records import Fault
from tests.e2e.conftest import eventually
from tests.e2e.costs import CHAT, Json
from tests.e2e.elsewhere import FOUNDRY, FOUNDRY_CLAUDE, HOUSE, OLLAMA, VLLM, entries, models

HOSTS = {
    "anthropic": anthropic.HOST,
    "openai": openai.HOST,
    "gemini": gemini.HOST,
    "mistral": mistral.HOST,
    "foundry": str(urlsplit(FOUNDRY).hostname),
    "foundry-claude": str(urlsplit(FOUNDRY_CLAUDE).hostname),
    "vllm": VLLM.host,
    "house": HOUSE.host,
    "ollama": OLLAMA.host,
}
"""By the model: who serves it, where."""
MARKER = "what-nobody-else-is-to-know"
WRONG_KEY = "a-key-that-is-none"
INSTEAD = "nova-2-lite"


@dataclass(frozen=True)
class Tried:
    """What came of asking one of them."""

    user: str
    throttled: tuple[int, list[int]]  # the caller's status, and those of the provider's answers
    refused: httpx.Response
    stepped_in: tuple[httpx.Response, list[int]]
    out: httpx.Response
    over: httpx.Response  # once the budget is used up


def ask(gateway: LocalGateway, key: str, model: str, **more: object) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": f"Say hello to {MARKER}."}], **more}
    return gateway.api("POST", CHAT, key=key, json=body)


def statuses(gateway: LocalGateway, host: str, *, since: int) -> list[int]:
    return [call.status for call in gateway.outside.calls() if call.host == host][since:]


def attempt(gateway: LocalGateway, name: str, user: str, key: str) -> Tried:
    """Everything of one provider, one after the other."""
    model, host, outside = f"elsewhere-{name}", HOSTS[name], gateway.outside
    before = len(statuses(gateway, host, since=0))
    outside.set_fault(host, Fault(status=429, count=1))
    throttled = ask(gateway, key, model).status_code, statuses(gateway, host, since=before)
    refused = ask(gateway, key, f"{model}-refused")
    before = len(statuses(gateway, host, since=0))
    outside.set_fault(host, Fault(status=503))
    stepped_in = ask(gateway, key, model, fallbacks=[INSTEAD]), statuses(gateway, host, since=before)
    out = ask(gateway, key, model)
    outside.clear_fault(host)
    poor = gateway.api("POST", "/key/generate", json={"user_id": user, "max_budget": 1e-7})
    poor.raise_for_status()
    spends = poor.json()["key"]
    assert ask(gateway, spends, model).is_success
    eventually(lambda: not ask(gateway, spends, model).is_success)
    return Tried(user, throttled, refused, stepped_in, out, ask(gateway, spends, model))


@pytest.fixture(scope="module")
def start(gateway: LocalGateway) -> int:
    return len(gateway.outside.datadog())


@pytest.fixture(scope="module")
def tried(gateway: LocalGateway, start: int) -> Iterator[dict[str, Tried]]:
    """All of them, side by side."""
    added = {name: each for name, each in entries(gateway.outside.credentials).items() if _of(name) in HOSTS}
    wrong = {f"{name}-refused": {**each, "api_key": WRONG_KEY} for name, each in added.items()}
    users = {name: f"elsewhere-{name}-{time.monotonic_ns()}@example.com" for name in HOSTS}
    keys = {name: gateway.user_key(user) for name, user in users.items()}  # one after the other: a file has them all
    with models(gateway, {**added, **wrong}), ThreadPoolExecutor(len(HOSTS)) as pool:
        found = pool.map(lambda name: attempt(gateway, name, users[name], keys[name]), HOSTS)
        yield dict(zip(HOSTS, found, strict=True))


def _of(name: str) -> str:
    return name.removeprefix("elsewhere-")


def told(answer: httpx.Response) -> str:
    """What the caller is told, which has nothing of the inside."""
    message = str(answer.json()["error"]["message"])
    assert not re.search(r"Traceback|File \"|\.py\b|_KEY\b", message)
    assert WRONG_KEY not in answer.text
    return message


@pytest.mark.parametrize("name", HOSTS)
def test_a_throttled_provider_is_asked_again(tried: dict[str, Tried], name: str) -> None:
    assert tried[name].throttled == (200, [429, 200])


@pytest.mark.parametrize("name", HOSTS)
def test_refused_credentials_are_told_in_a_sentence(tried: dict[str, Tried], name: str) -> None:
    answer = tried[name].refused
    assert answer.status_code == 401
    assert told(answer)


@pytest.mark.parametrize("name", HOSTS)
def test_another_model_steps_in_for_one_that_is_out(tried: dict[str, Tried], name: str) -> None:
    answer, calls = tried[name].stepped_in
    assert answer.status_code == 200, answer.text
    assert {*calls} == {503}
    assert answer.headers["x-litellm-model-group"] == INSTEAD


@pytest.mark.parametrize("name", HOSTS)
def test_one_that_is_out_is_told_in_a_sentence(tried: dict[str, Tried], name: str) -> None:
    answer = tried[name].out
    assert answer.status_code == 503
    assert told(answer)


@pytest.mark.parametrize("name", HOSTS)
def test_a_budget_ends_it(tried: dict[str, Tried], name: str) -> None:
    assert tried[name].over.status_code == 400
    assert "budget" in told(tried[name].over)


@pytest.mark.parametrize("name", HOSTS)
def test_no_word_is_recorded(gateway: LocalGateway, tried: dict[str, Tried], start: int, name: str) -> None:
    """Of an answered call and of one that failed: the outcome is, the texts are not."""
    user = tried[name].user

    def records() -> list[Json]:
        sent = [json.loads(log["message"]).get("llm", {}) for log in gateway.outside.datadog()[start:]]
        return [record for record in sent if record.get("user") == user]

    assert eventually(lambda: {"success", "failure"} <= {record.get("outcome") for record in records()})
    rows = eventually(lambda: gateway.api("GET", "/spend/logs", params={"user_id": user}).json())
    for kept in (gateway.outside.datadog()[start:], rows):
        assert MARKER not in json.dumps(kept)
