"""What Datadog makes of the gateway's real records, with the deployed definitions: figures to the token, alarms, page.

The definitions are read back from the simulated API, and the records are those that LiteLLM sent. Their time of arrival
is moved where something is about a week or about silence; nothing waits.
"""

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import openai
import pytest
from playwright.sync_api import Browser

from local.gateway import LocalGateway
from local.outside.datadog import widgets
from local.outside.datadog_metrics import Log, Metrics
from local.outside.datadog_monitors import MonitorState, monitor_state
from local.outside.datadog_query import Scope, Window, parse
from local.outside.datadog_widgets import Row, columns, rows
from local.outside.records import Call, Fault, Json
from local.outside.told import TOOL_MARKER
from local.outside.world import OutsideWorld
from stacks.datadog.metrics import METRICS
from tests.e2e.conftest import RESULTS, eventually, new_page, sdk

PROVIDERS = {"claude-sonnet-5-5": "bedrock", "gpt-6.1-sol": "azure", "gemini-4-argon": "vertex_ai"}
MODELS = tuple(PROVIDERS)
EMBEDDINGS = ("titan-embed-text-v2", "text-embedding-3-large")
VERTEX = "gemini-4-argon"  # which no test here has fail
THROTTLED = "claude-haiku-5-5"
EXPENSIVE = "claude-opus-5-5"
DELAY = 60.0  # the monitors' evaluation_delay: they look at what arrived before it
DAY = 86_400.0
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


@dataclass
class Traffic:
    """What was asked, and what the providers say that it took: figures by user (as Datadog has it) and model."""

    start: float
    users: list[str] = field(default_factory=list)
    figures: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)


def tag(user: str) -> str:
    """A user as Datadog's tag."""
    return user.replace("@", "_")


def arrivals(outside: OutsideWorld, start: float, **wanted: object) -> list[tuple[float, Json]]:
    """The records that arrived since a time and have these attributes."""
    return [
        (arrived, record)
        for arrived, record in outside.journal.datadog_arrivals()
        if arrived >= start and wanted.items() <= json.loads(record["message"])["llm"].items()
    ]


def metrics(outside: OutsideWorld, records: list[tuple[float, Json]]) -> Metrics:
    """The deployed metrics over records."""
    return Metrics(outside.datadog_objects.metrics(), [Log(arrived, record) for arrived, record in records])


def board(outside: OutsideWorld) -> Json:
    """The deployed dashboard."""
    (found,) = (each for each in outside.datadog_objects.dashboards() if each["title"] == "LLM gateway · local")
    return found


def table(
    outside: OutsideWorld, found: Metrics, title: str = "Usage by user and model", **chosen: str
) -> tuple[list[str], list[Row]]:
    """A table of the dashboard, with chosen values of its variables: the columns' names, the rows."""
    dashboard = board(outside)
    variables = {
        each["name"]: (each["prefix"], chosen.get(each["name"], "*")) for each in dashboard["template_variables"]
    }
    scope = Scope(found, Window(time.time() - DAY, time.time() + 1, 300), variables)
    (request,) = (
        request
        for widget in widgets(dashboard)
        if widget["definition"].get("title") == title
        for request in widget["definition"]["requests"]
    )
    answers = columns(request, scope, scalar=True)
    return [column.label for column in answers], rows(request, answers)


def state(outside: OutsideWorld, name: str, records: list[tuple[float, Json]], now: float) -> MonitorState:
    """How the deployed monitor whose name has these words stands."""
    (monitor,) = (each for each in outside.datadog_objects.monitors() if name in each["name"])
    return monitor_state(monitor, metrics(outside, records), now)


def alerting(found: MonitorState) -> set[str]:
    """The groups that alert."""
    return {group.group[0][1] for group in found.groups if group.state == "Alert"}


def exported(gateway: LocalGateway, users: list[str]) -> dict[tuple[str, str], float]:
    """Dollars by user and model, of LiteLLM's own daily export."""
    deployments = gateway.api("GET", "/model/info").json()["data"]
    names = {each["litellm_params"]["model"]: each["model_name"] for each in deployments}
    found: Counter[tuple[str, str]] = Counter()
    for back in (1, 0):  # a test may begin before midnight
        day = str((datetime.now(UTC) - timedelta(days=back)).date())
        query = {"start_date": day, "end_date": day, "export_type": "daily_with_models", "format": "csv"}
        answer = gateway.api("GET", "/user/daily/activity/export", params=query)
        for row in csv.DictReader(io.StringIO(answer.text)):
            if row["entity_id"] in users:
                found[tag(row["entity_id"]), names.get(row["model"], row["model"])] += float(row["spend"])  # type: ignore[assignment]
    return dict(found)


@pytest.fixture(scope="module")
def traffic(gateway: LocalGateway) -> Iterator[Traffic]:
    """Two people's calls of each kind, one refused request, and one throttled call; their records have arrived."""
    made = Traffic(time.time())
    outside = gateway.outside
    client = sdk(gateway, gateway.user_key(f"first-{time.monotonic_ns()}@example.com"))
    for model, provider in PROVIDERS.items():  # no other steps in any more, if a test before has had it fail
        assert eventually(lambda m=model, p=provider: _plain(client, m) and _last(outside).provider == p)  # type: ignore[misc]
    for number in range(2):
        user = f"figures-{number}-{time.monotonic_ns()}@example.com"
        made.users.append(user)
        client = sdk(gateway, gateway.user_key(user))
        for model in MODELS:
            counted = made.figures.setdefault((tag(user), model), Counter())
            for ask in (_plain, _streamed, _tool, _cached, _cached):
                _count(counted, outside, client, model, ask)
        for model in EMBEDDINGS:
            _count(made.figures.setdefault((tag(user), model), Counter()), outside, client, model, _embedded)
        with pytest.raises(openai.APIStatusError):
            _plain(client, "no-such-model")
    calls = sum(counted["Requests"] for counted in made.figures.values())
    outside.set_fault("*.openai.azure.com", Fault(status=429, count=1))
    client = sdk(gateway, gateway.user_key(f"throttled-{time.monotonic_ns()}@example.com"))
    _plain(client, "gpt-6.1-sol")
    outside.clear_fault()

    def answered() -> bool:
        users = [len(arrivals(outside, made.start, user=user, outcome="success")) for user in made.users]
        refused = arrivals(outside, made.start, kind="rejected")
        return sum(users) >= calls and bool(refused) and bool(arrivals(outside, made.start, error_code="429"))

    assert eventually(answered), "Datadog did not get a record of each call"
    yield made


def _last(outside: OutsideWorld) -> Call:
    return [call for call in outside.calls() if call.model][-1]


def _count(
    counted: Counter[str],
    outside: OutsideWorld,
    client: openai.OpenAI,
    model: str,
    ask: Callable[[openai.OpenAI, str], object],
) -> None:
    """Ask, and add what the provider says that it took."""
    before = len(outside.calls())
    ask(client, model)
    calls: list[Call] = [call for call in outside.calls()[before:] if call.model]
    for call in calls:
        usage = call.usage
        counted.update(
            {
                "Requests": 1,
                "Prompt tokens": usage.input_tokens,
                "Completion tokens": usage.output_tokens,
                "Cached tokens": usage.cached_tokens,
                "Total tokens": usage.input_tokens + usage.output_tokens,
            }
        )


def _plain(client: openai.OpenAI, model: str, text: str = "Say hello") -> object:
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}])


def _streamed(client: openai.OpenAI, model: str) -> object:
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    return list(client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Tell"}], **options))


def _tool(client: openai.OpenAI, model: str) -> object:
    message: Any = {"role": "user", "content": TOOL_MARKER}
    return client.chat.completions.create(model=model, messages=[message], tools=TOOLS)


def _cached(client: openai.OpenAI, model: str) -> object:
    """Ask with a long beginning, which the provider caches: some by themselves, Bedrock where it is marked."""
    beginning: Any = {"type": "text", "text": "Long instructions. " * 1400, "cache_control": {"type": "ephemeral"}}
    messages: Any = [{"role": "system", "content": [beginning]}, {"role": "user", "content": "Say hello"}]
    return client.chat.completions.create(model=model, messages=messages)


def _embedded(client: openai.OpenAI, model: str) -> object:
    return client.embeddings.create(model=model, input="To be embedded " * 20, encoding_format="float")


def test_every_metric_gets_points(gateway: LocalGateway, outside: OutsideWorld, traffic: Traffic) -> None:
    user = f"points-{time.monotonic_ns()}@example.com"
    made = gateway.api("POST", "/user/new", json={"user_id": user, "max_budget": 100.0, "auto_create_key": True})
    _streamed(sdk(gateway, made.json()["key"]), MODELS[0])
    assert eventually(lambda: arrivals(outside, traffic.start, user=user))
    found = metrics(outside, arrivals(outside, 0))
    assert len(found.names()) == len(METRICS)
    assert [name for name in found.names() if not found.points(name)] == []


def test_every_widget_and_every_monitor_is_answered(outside: OutsideWorld, traffic: Traffic) -> None:
    found = metrics(outside, arrivals(outside, traffic.start))
    dashboard = board(outside)
    variables = {each["name"]: (each["prefix"], "*") for each in dashboard["template_variables"]}
    scope = Scope(found, Window(time.time() - DAY, time.time() + 1, 300), variables)
    empty = []
    for widget in widgets(dashboard):
        for request in widget["definition"].get("requests", []):
            answers = columns(request, scope, scalar=request["response_format"] == "scalar")
            empty += [widget["definition"]["title"] for column in answers if not column.series.groups]
    assert [title for title in empty if not title.startswith("Budget used")] == []
    for monitor in outside.datadog_objects.monitors():
        monitor_state(monitor, found, time.time())


def test_users_and_models_to_the_token_and_to_the_dollar(
    gateway: LocalGateway, outside: OutsideWorld, traffic: Traffic
) -> None:
    """Datadog's table has what the providers say, and costs what LiteLLM has booked."""
    labels, found = table(outside, metrics(outside, arrivals(outside, traffic.start)))
    shown = {
        (row.group[0][1], row.group[1][1]): dict(zip(labels, row.values, strict=True))
        for row in found
        if row.group[0][1] in map(tag, traffic.users)
    }
    costs = {group: figures.pop("Cost") for group, figures in shown.items()}
    asked = ("Requests", "Total tokens")
    assert shown == {group: {name: counted[name] for name in asked} for group, counted in traffic.figures.items()}
    assert all(cost and cost > 0 for cost in costs.values())
    total = pytest.approx(sum(cost or 0 for cost in costs.values()), abs=1e-9)
    eventually(lambda: sum(exported(gateway, traffic.users).values()) == total)
    assert exported(gateway, traffic.users) == pytest.approx(costs, abs=1e-9)


def test_kinds_of_tokens_by_model(outside: OutsideWorld, traffic: Traffic) -> None:
    """Of everybody: here of those alone whose calls have been counted."""
    theirs = [record for user in traffic.users for record in arrivals(outside, traffic.start, user=user)]
    labels, found = table(outside, metrics(outside, theirs), "Kinds of tokens by model")
    counted = dict[str, Counter[str]]()
    for (_, model), figures in traffic.figures.items():
        counted.setdefault(model, Counter()).update(figures)
    kinds = ("Prompt tokens", "Completion tokens", "Cached tokens")
    shown = {row.group[0][1]: dict(zip(labels, row.values, strict=True)) for row in found}
    assert {model: {kind: figures[kind] for kind in kinds} for model, figures in shown.items()} == {
        model: {kind: figures[kind] for kind in kinds} for model, figures in counted.items()
    }
    assert any(figures["Cached tokens"] for figures in counted.values())


def test_what_caches_gave_and_saved(outside: OutsideWorld, traffic: Traffic) -> None:
    """By person and by model: the tokens are the providers', and the money is that of the records."""
    theirs = [record for user in traffic.users for record in arrivals(outside, traffic.start, user=user)]
    calls = [json.loads(record["message"])["llm"] for _, record in theirs]
    for title, by in (("Caches by user", "user"), ("Caches by model, of everybody", "model")):
        labels, found = table(outside, metrics(outside, theirs), title)
        counted = dict[str, Counter[str]]()
        for (user, model), figures in traffic.figures.items():
            counted.setdefault(user if by == "user" else model, Counter()).update(figures)
        saved = Counter[str]()
        for call in calls:
            saved[tag(call[by])] += call.get("cache_saved", 0)
        for row in found:
            shown, expected = dict(zip(labels, row.values, strict=True)), counted[row.group[0][1]]
            prompt, cached = expected["Prompt tokens"], expected["Cached tokens"]
            assert (shown["Prompt tokens"], shown["Cached tokens"]) == (prompt, cached)
            assert shown["Hit rate"] == pytest.approx(100 * cached / prompt)
            assert (shown["Saved"] or 0) == pytest.approx(saved[row.group[0][1]], abs=1e-12)
        assert {row.group[0][1] for row in found} == counted.keys()
        assert any(saved.values())


def test_a_template_variable_narrows_the_table_down(outside: OutsideWorld, traffic: Traffic) -> None:
    found = metrics(outside, arrivals(outside, traffic.start))
    user = tag(traffic.users[0])
    _, narrowed = table(outside, found, user=user)
    assert {row.group[1][1] for row in narrowed} == {model for who, model in traffic.figures if who == user}
    assert {row.group[0][1] for row in narrowed} == {user}
    _, one = table(outside, found, user=user, model=MODELS[0])
    assert [row.group for row in one] == [(("user", user), ("model", MODELS[0]))]


def test_the_page_draws_them(outside: OutsideWorld, traffic: Traffic, chromium: Browser) -> None:
    """A person chooses a user with the keyboard, on a page that asks nothing of anybody else."""
    page = new_page(chromium, viewport={"width": 1280, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{outside.control_url}/dashboard")
    page.screenshot(path=RESULTS / "dashboard.png", full_page=True)
    user = tag(traffic.users[0])
    page.locator("select[name=tpl_var_user]").select_option(user)
    page.get_by_role("button", name="Show").press("Enter")
    page.wait_for_url(f"**tpl_var_user={user}*")
    users = page.locator("table").first.locator("tbody tr td:first-child").all_inner_texts()
    assert set(users) == {user}
    assert page.locator(".error").count() == 0
    assert page.locator(".monitor").count() == 6
    assert all(url.startswith(outside.control_url) for url in asked)
    page.close()


def test_a_provider_that_fails_alerts(outside: OutsideWorld, client: openai.OpenAI) -> None:
    start = time.time()
    outside.set_fault("bedrock-runtime.*.amazonaws.com", Fault(status=500))
    for model in ("nova-2-lite", "titan-embed-text-v2", THROTTLED, EXPENSIVE, MODELS[0]):
        try:
            _embedded(client, model) if model in EMBEDDINGS else _plain(client, model)
        except openai.APIStatusError:
            continue  # there is no other provider to step in
    failed = sum(call.status == 500 for call in outside.calls())
    assert failed >= 5
    assert eventually(lambda: len(arrivals(outside, start, provider="bedrock", outcome="failure")) >= failed)
    records = arrivals(outside, start)
    found = state(outside, "{{provider.name}} fails", records, time.time() + DELAY)
    assert (alerting(found), found.notifies) == ({"bedrock"}, True)
    assert state(outside, "{{provider.name}} fails", records, time.time() + 3600).state == "No Data"


def test_a_model_that_is_throttled_in_all_regions_alerts(outside: OutsideWorld, client: openai.OpenAI) -> None:
    start = time.time()
    outside.set_fault("bedrock-runtime.*.amazonaws.com", Fault(status=429))

    def throttled() -> bool:
        """Until there are enough attempts: a throttled region is left out for a while, and its fallback answers."""
        with suppress(openai.APIStatusError):
            _plain(client, THROTTLED)
        return len(arrivals(outside, start, model=THROTTLED, error_code="429")) >= 5

    assert eventually(throttled)
    name, now = "is throttled in all regions", time.time() + DELAY
    assert alerting(state(outside, name, arrivals(outside, start), now)) == {THROTTLED}
    outside.clear_fault()
    assert eventually(
        lambda: _plain(client, THROTTLED) and arrivals(outside, start, model=THROTTLED, outcome="success")
    )
    assert alerting(state(outside, name, arrivals(outside, start), time.time() + DELAY)) == set()


def test_most_of_a_budget_alerts(gateway: LocalGateway, outside: OutsideWorld, user: str) -> None:
    """The same call costs 90 % of one person's budget, and 9 % of another's."""
    start = time.time()
    _plain(sdk(gateway, gateway.user_key(user)), VERTEX)
    assert eventually(lambda: arrivals(outside, start, user=user))
    cost = json.loads(arrivals(outside, start, user=user)[0][1]["message"])["llm"]["cost"]
    people = {f"little-{user}": cost / 0.9, f"much-{user}": cost / 0.09}
    for person, budget in people.items():
        made = gateway.api("POST", "/user/new", json={"user_id": person, "max_budget": budget, "auto_create_key": True})
        _plain(sdk(gateway, made.json()["key"]), VERTEX)
    assert eventually(lambda: all(arrivals(outside, start, user=person) for person in people))
    theirs = [record for person in people for record in arrivals(outside, start, user=person)]
    found = state(outside, "has used most of the budget", theirs, time.time() + DELAY)
    used = {group.group[0][1]: group.value for group in found.groups}
    assert used == {tag(f"little-{user}"): pytest.approx(90, abs=0.01), tag(f"much-{user}"): pytest.approx(9, abs=0.01)}
    assert alerting(found) == {tag(f"little-{user}")}


def test_a_jump_of_a_persons_spend_alerts(outside: OutsideWorld, client: openai.OpenAI, user: str) -> None:
    """A real record of an expensive call, as often as makes 81 dollars: of somebody new, of a day as a week ago, and of
    one that is ten times as expensive.
    """
    start = time.time()
    _plain(client, EXPENSIVE, "A very long text. " * 20_000)
    assert eventually(lambda: arrivals(outside, start, user=user, outcome="success"))
    arrived, record = arrivals(outside, start, user=user, outcome="success")[0]
    times = int(81 / json.loads(record["message"])["llm"]["cost"]) + 1
    today, now = [(arrived, record)] * times, arrived + DELAY + 1
    day, jumped = "a day of {{user.name}} is expensive", "spend of {{user.name}} jumped"
    found = state(outside, day, today, now)
    assert (alerting(found), found.notifies, found.groups[0].value > 80) == ({tag(user)}, True, True)
    assert state(outside, jumped, today, now).state == "No Data"
    assert alerting(state(outside, day, today[: times // 2], now)) == set()
    as_usual, less = ([(arrived - 7 * DAY, record)] * (times // part) for part in (2, 10))
    assert alerting(state(outside, jumped, as_usual + today, now)) == set()
    assert alerting(state(outside, jumped, less + today, now)) == {tag(user)}


def test_silence_alerts(outside: OutsideWorld, traffic: Traffic) -> None:
    records = arrivals(outside, traffic.start)
    last = records[-1][0]
    heard = state(outside, "no records", records, last + 120)
    quiet = state(outside, "no records", records, last + 15 * 60)
    silent = state(outside, "no records", records, last + 30 * 60)
    assert [(each.state, each.notifies) for each in (heard, quiet, silent)] == [
        ("OK", False),
        ("No Data", False),
        ("No Data", True),
    ]


def test_the_definitions_are_read_as_they_were_written(outside: OutsideWorld) -> None:
    """Each query that is deployed asks for a metric that is deployed."""
    names = {each["id"] for each in outside.datadog_objects.metrics()}
    requests = [each for widget in widgets(board(outside)) for each in widget["definition"].get("requests", [])]
    asked = {found.metric for r in requests for q in r["queries"] for found in parse(q["query"]).queries.values()}
    assert asked <= names
