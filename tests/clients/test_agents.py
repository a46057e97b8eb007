"""The coding agents themselves, set up as docs/clients.md says, with the deployed gateway: `make test-clients`.

Each is asked as a person of its own: for a plain answer, for a tool that it carries out, to go on with its session, and
with a budget that is used up. They stream whatever they ask. It is not part of `make test`: they are a gigabyte of
programs. What they ask for is kept in routes.json, which `make test` holds against the web ACL.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.gateway import LocalGateway
from local.outside.completion import COMPLETION_PHRASE
from local.outside.records import Call
from stacks.company import Company, company
from tests.clients.agents import AGENTS, Agent, Desk, Run
from tests.clients.recorder import Recorder
from tests.e2e.conftest import eventually
from tests.e2e.costs import Figures, billed

ROUTES = json.loads(Path(__file__).with_name("routes.json").read_text())
SECRET = "marmalade-7731"  # in a file, and in no prompt
MOST_TRIES = 8  # of an agent whose person has no budget left, before it gives up

of_each = pytest.mark.parametrize("name", AGENTS)


@dataclass
class Seen:
    """What came of an agent's runs, the provider's calls among them, and the requests that it made."""

    user: str
    runs: dict[str, Run] = field(default_factory=dict)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    routes: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)


@pytest.fixture(scope="session")
def own() -> Company:
    """The example company."""
    return company()


@pytest.fixture(scope="session")
def gateway(own: Company, gateway_of: Callable[[Company], LocalGateway]) -> LocalGateway:
    """Its gateway, running."""
    return gateway_of(own)


@pytest.fixture(scope="session")
def look(gateway: LocalGateway, own: Company, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Seen]:
    """Run an agent, once in a session."""
    known: dict[str, Seen] = {}

    def seen(name: str) -> Seen:
        if name not in known:
            known[name] = _seen(gateway, own, AGENTS[name], tmp_path_factory.mktemp(name))
        return known[name]

    return seen


def _seen(gateway: LocalGateway, own: Company, agent: Agent, folder: Path) -> Seen:
    found = Seen(f"{agent.name}@example.com")
    key = gateway.user_key(found.user)
    with Recorder(gateway.url) as recorder:
        desk = Desk(folder, recorder.url, key, own)
        secret = desk.folder / "notes.txt"
        secret.write_text(f"{SECRET}\n")

        def run(
            what: str, prompt: str, *, session: str = "", model: str = "", only: Mapping[str, str] | None = None
        ) -> Run:
            gateway.outside.clear("calls")
            found.runs[what] = desk.run(agent, prompt, session=session, model=model, only=only)
            found.calls[what] = [call for call in gateway.outside.calls() if call.model]
            return found.runs[what]

        first = run("plain", "Say hello")
        run("tool", agent.reads.format(file=secret))
        run("resumed", "Say it again", session=first.session)
        if agent.name == "claude-code":
            run("context", "/context", session=first.session)
            bare = {"ANTHROPIC_BASE_URL": recorder.url, "ANTHROPIC_AUTH_TOKEN": key}
            run("bare", "Say hello", only=bare)
        if agent.name == "opencode":
            run("another maker's", "Say hello", model="llm-gateway/gpt-6-luna")
        found.routes = recorder.routes()
        found.refused = {f"{one.status} {one.method} {one.path}" for one in recorder.asked if one.status == 403}
    return found


@of_each
def test_a_plain_answer(look: Callable[[str], Seen], name: str) -> None:
    seen = look(name)
    assert COMPLETION_PHRASE in seen.runs["plain"].said, seen.runs["plain"].text
    assert all(call.streamed for call in seen.calls["plain"] if "count" not in call.operation)


@of_each
def test_a_tool_is_carried_out(look: Callable[[str], Seen], name: str) -> None:
    seen = look(name)
    assert SECRET in seen.runs["tool"].said, seen.runs["tool"].text


@of_each
def test_a_session_goes_on(look: Callable[[str], Seen], name: str) -> None:
    """With all that was said before: its prompt is the longer one."""
    seen = look(name)
    assert COMPLETION_PHRASE in seen.runs["resumed"].said, seen.runs["resumed"].text

    def prompt(what: str) -> int:
        return max(call.usage.input_tokens for call in seen.calls[what])

    assert prompt("resumed") > prompt("plain")


@of_each
def test_the_routes_are_those_that_are_recorded(look: Callable[[str], Seen], name: str) -> None:
    """A version that asks for another fails here: write it into routes.json, and see what the web ACL does with it."""
    seen = look(name)
    assert (AGENTS[name].version, sorted(seen.routes)) == (ROUTES[name]["version"], sorted(ROUTES[name]["routes"]))
    assert seen.refused == set()


@of_each
def test_what_it_used_is_what_the_providers_bill(gateway: LocalGateway, look: Callable[[str], Seen], name: str) -> None:
    seen = look(name)
    calls = [call for calls in seen.calls.values() for call in calls if call.status == 200]
    expected = sum((billed(call) for call in calls if "count" not in call.operation), Figures())
    today = datetime.now(UTC).date()
    days = {"start_date": str(today - timedelta(days=1)), "end_date": str(today), "user_id": seen.user}

    def figures() -> Figures:
        answer = gateway.api("GET", "/user/daily/activity", params=days).json()
        total = answer["metadata"]
        return Figures(
            total["total_prompt_tokens"],
            total["total_completion_tokens"],
            total["total_cache_read_input_tokens"],
            total["total_cache_creation_input_tokens"],
            None,
            total["total_spend"],
        )

    def equal() -> bool:
        found = figures()
        tokens = (found.prompt, found.completion, found.cached, found.cache_write)
        return tokens == (expected.prompt, expected.completion, expected.cached, expected.cache_write)

    assert eventually(equal), (figures(), expected)
    assert figures().cost == pytest.approx(expected.cost, rel=1e-6)


@pytest.fixture(scope="session")
def spent(gateway: LocalGateway) -> str:
    """The key of somebody whose budget is used up."""
    body = {"user_id": "spent@example.com", "max_budget": 0.0, "auto_create_key": True, "models": ["all-proxy-models"]}
    return str(gateway.api("POST", "/user/new", json=body).json()["key"])


@of_each
def test_a_used_up_budget_is_said_and_is_the_end(
    gateway: LocalGateway, own: Company, spent: str, name: str, tmp_path: Path
) -> None:
    with Recorder(gateway.url) as recorder:
        run = Desk(tmp_path, recorder.url, spent, own).run(AGENTS[name], "Say hello")
        tries = len(recorder.asked)
    assert "budget" in run.said.lower(), run.text
    assert COMPLETION_PHRASE not in run.said
    assert 0 < tries <= MOST_TRIES
