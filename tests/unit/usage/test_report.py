"""The whole report: from LiteLLM's rows to a message in the simulated Slack, its files, and every way to fail."""

import csv
import dataclasses
import io
import ssl
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from slack_sdk import WebClient
from usage import report, slack
from usage.cache_prices import CachePrices
from usage.environment import Places
from usage.errors import RefusedError, UnavailableError
from usage.litellm import Usage

from local.outside.records import Fault
from local.outside.slack import SlackWorkspace
from local.outside.slack_workspace import ExampleWorkspace
from local.outside.world import OutsideWorld
from tests.unit.usage.rows import CLAUDE, REPORT, SONNET, row

ANA, BO = "ana@example.com", "bo@example.com"
DUE = "2026-11-23T00:10:00Z"
WEEKLY = {"period": "week", "time": DUE}


class Context:
    function_name = "report"
    memory_limit_in_mb = 2048
    invoked_function_arn = "arn:aws:lambda:ap-northeast-1:111111111111:function:report"
    aws_request_id = "00000000-0000-4000-8000-000000000000"


CONTEXT: Any = Context()


class FakeLiteLlm:
    """Has rows of some days, and may break."""

    rows: tuple[Usage, ...] = ()
    error: Exception | None = None
    asked: list[tuple[date, date]]

    def __init__(self, url: str, key: str) -> None:
        assert (url, key) == ("https://litellm.internal", "USAGE_KEY's value")

    def usage(self, start: date, end: date) -> Iterator[Usage]:
        type(self).asked.append((start, end))
        if self.error:
            raise self.error
        yield from (row for row in self.rows if str(start) <= row.date <= str(end))

    def cache_prices(self) -> dict[str, CachePrices]:
        return {"claude-sonnet": SONNET}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideWorld]:
    with OutsideWorld(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture
def workspace(world: OutsideWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackWorkspace]:
    """Slack with the report's channel and the seats' group, of which the function is a client."""
    workspace = world.slack_workspace
    workspace.clear()
    workspace.add_channel(REPORT.channel, "llm-usage")
    workspace.add_group("S0CLAUDE", "english")
    context = ssl.create_default_context(cafile=str(world.ca_file))

    def client() -> WebClient:
        token = world.credentials.slack_bot_token
        return WebClient(token=token, proxy=world.proxy_url, ssl=context, retry_handlers=[])

    places = Places(environment="dev", litellm_url="https://litellm.internal", gateway_url="https://llm.example.com")
    FakeLiteLlm.asked = []
    monkeypatch.setattr(FakeLiteLlm, "rows", ROWS)
    monkeypatch.setattr(FakeLiteLlm, "error", None)
    monkeypatch.setattr(slack, "client", client)
    monkeypatch.setattr(report, "LiteLlm", FakeLiteLlm)
    monkeypatch.setattr(report, "places", lambda: places)
    monkeypatch.setattr(report, "secret", lambda name: f"{name}'s value")
    monkeypatch.setattr(report, "report", lambda: REPORT)
    monkeypatch.setattr(report, "_posted", set())
    yield workspace
    world.clear_fault()


EMMA = "emma.clark@example.com"  # whom the workspace calls english
ROWS = (
    row(ANA, "claude-sonnet", 212.4, cached_tokens=30),
    row(ANA, "gpt-6", 3, day="2026-11-22"),
    row(EMMA, "claude-haiku", 4.2, day="2026-11-17"),
    row(BO, "gpt-6", 1, day="2026-11-15"),  # the week before
    row(BO, "gpt-6", 1, day="2026-11-23"),  # and after
)


def table(content: bytes | None) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((content or b"").decode())))


def test_the_message_and_its_files(workspace: SlackWorkspace) -> None:
    result = report.handler(WEEKLY, CONTEXT)
    assert result == {"period": "2026-W47", "posted": True, "users": 2, "files": 3}
    assert FakeLiteLlm.asked == [
        (date(2026, 11, 16), date(2026, 11, 22)),
        (date(2026, 11, 9), date(2026, 11, 15)),
    ]
    message, files = workspace.messages(REPORT.channel)
    assert message.text == "LLM gateway dev: usage in week 47 of 2026: $219.60, 3 requests, 330 tokens, 2 users"
    assert "saves $475.00" in message.all_text
    emma = workspace.person("english").id
    assert f"• <@{emma}> `{EMMA}`: Claude Team Premium $125.00 a month" in message.all_text
    assert files.thread_ts == message.ts

    picture, usage, advice = workspace.files(REPORT.channel)
    assert [f.name for f in (picture, usage, advice)] == [
        "usage-dev-2026-W47.png",
        "usage-dev-2026-W47.csv",
        "advice-dev-2026-W47.csv",
    ]
    assert {f.thread_ts for f in (picture, usage, advice)} == {message.ts}
    assert picture.title == "Cost per day by model, dev, 16 to 22 November 2026"
    assert picture.alt_text.startswith("Stacked bars: Cost per day by model, dev")
    assert Image.open(io.BytesIO(picture.content or b"")).format == "PNG"
    assert [(line["user"], line["model"], line["total_tokens"], line["cost_usd"]) for line in table(usage.content)] == [
        (ANA, "claude-sonnet", "110", "212.40000000"),
        (ANA, "gpt-6", "110", "3.00000000"),
        (EMMA, "claude-haiku", "110", "4.20000000"),
    ]
    assert [(line["user"], line["finding"]) for line in table(advice.content)] == [
        (ANA, "cheaper on a plan"),
        (EMMA, "paid twice"),
        (ANA, "unusual jump"),
    ]


def test_who_would_gain_by_caching(workspace: SlackWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the message, and in the table of all findings."""
    script = row(ANA, "claude-sonnet", 9, requests=100, prompt_tokens=4_000_000)
    agent = row(BO, "claude-sonnet", 9, prompt_tokens=4_000_000, cached_tokens=3_000_000, saved=6.27)
    monkeypatch.setattr(FakeLiteLlm, "rows", (script, agent))
    monkeypatch.setattr(report, "report", lambda: dataclasses.replace(REPORT, plans=(), jump_minimum=10))
    report.handler(WEEKLY, CONTEXT)
    message = workspace.messages(REPORT.channel)[0]
    assert "*37.5 %* of the prompts' tokens were read from one" in message.all_text
    assert "would save *$6.27* (at most $8.36) with 75 % read and 0 % written, as 1 user has" in message.all_text
    _, usage, advice = workspace.files(REPORT.channel)
    assert [(line["hit_percent"], line["saved_usd"]) for line in table(usage.content)] == [
        ("0.00", "0.00000000"),
        ("75.00", "6.27000000"),
    ]
    (line,) = table(advice.content)
    assert (line["user"], line["finding"], line["model"]) == (ANA, "would gain by caching", "claude-sonnet")
    assert (line["days"], line["cost_usd"], line["saving_usd"], line["saving_at_most_usd"]) == (
        "7",
        "9.00",
        "6.27",
        "8.36",
    )


def test_a_month(workspace: SlackWorkspace) -> None:
    assert report.handler({"period": "month", "time": "2026-12-01T09:10:00+09:00"}, CONTEXT)["period"] == "2026-11"
    assert FakeLiteLlm.asked[0] == (date(2026, 11, 1), date(2026, 11, 30))
    assert "usage in November 2026: $221.60" in workspace.messages(REPORT.channel)[0].text


def test_without_a_time_it_is_now(workspace: SlackWorkspace) -> None:
    for _ in range(2):  # by hand, as often as one likes
        assert report.handler({"period": "week"}, CONTEXT)["posted"]
    assert len([m for m in workspace.messages(REPORT.channel) if m.thread_ts is None]) == 2


def test_an_empty_period_is_one_line(workspace: SlackWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLiteLlm, "rows", ())
    assert report.handler(WEEKLY, CONTEXT) == {"period": "2026-W47", "posted": True, "users": 0, "files": 0}
    (message,) = workspace.messages(REPORT.channel)
    assert message.text == "LLM gateway dev: no usage in week 47 of 2026 (16 to 22 November 2026, UTC)."
    assert (message.blocks, workspace.files()) == ([], [])


def test_without_findings_there_is_no_table_of_them(workspace: SlackWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeLiteLlm, "rows", (row(ANA, "m", 1),))
    assert report.handler(WEEKLY, CONTEXT)["files"] == 2
    assert [file.name for file in workspace.files()] == ["usage-dev-2026-W47.png", "usage-dev-2026-W47.csv"]


def test_without_seats_slack_is_not_asked_for_people(
    world: OutsideWorld, workspace: SlackWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = (dataclasses.replace(CLAUDE, seats=None),)
    monkeypatch.setattr(report, "report", lambda: dataclasses.replace(REPORT, plans=plans))
    world.clear("calls")
    report.handler(WEEKLY, CONTEXT)
    asked = {call.operation for call in world.calls()}
    assert not {"users.list", "usergroups.users.list"} & asked


def test_seats_of_a_large_workspace(workspace: SlackWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack, "PAGE", 4)
    workspace.add_group("S0OTHER", "japanese", "deactivated", "bot", "english")
    found = slack.holders(["S0CLAUDE", "S0OTHER"])
    person = workspace.person
    assert found == {
        "S0CLAUDE": [slack.Holder(person("english").id, EMMA)],
        "S0OTHER": [
            slack.Holder(person("japanese").id, "yuki.sato@example.com"),
            slack.Holder(person("bot").id, ""),
            slack.Holder(person("english").id, EMMA),
        ],
    }


ORGANISATION = ExampleWorkspace(workspace="E0123456789", approver_group="S0CLAUDE")


@pytest.mark.parametrize("groups", [("S0CLAUDE",), ()])
def test_seats_of_an_organisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: SlackWorkspace, groups: tuple[str, ...]
) -> None:
    """Its token has to name a workspace, and the user group is in another one than the first."""
    with OutsideWorld(tmp_path, slack_workspace=ORGANISATION) as world:
        context = ssl.create_default_context(cafile=str(world.ca_file))
        token = world.credentials.slack_bot_token
        client = WebClient(token=token, proxy=world.proxy_url, ssl=context, retry_handlers=[])
        approver = world.slack_workspace.person("approver")
        assert slack.holders(groups, client) == {
            group: [slack.Holder(approver.id, str(approver.email))] for group in groups
        }
        asked = [call.operation for call in world.calls()]
        group = "usergroups.users.list"
        teams = ["auth.teams.list"] * 2  # in pages
        assert asked == (["auth.test", *teams, group, group, "users.list"] if groups else [])
        with pytest.raises(RefusedError) as error:
            slack.holders(["S0OTHER"], client)
        assert error.value.reason == "no_such_subteam"


def test_an_organisation_without_a_workspace_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"auth_test": {"is_enterprise_install": True}, "auth_teams_list": {"ok": True, "teams": []}}
    client: Any = SimpleNamespace(**{name: lambda answer=answer, **_: answer for name, answer in answers.items()})
    with pytest.raises(RefusedError, match=r"^Slack has added the app to no workspace of the organization: its owner"):
        slack.holders(["S0CLAUDE"], client)


# --- Twice ----------------------------------------------------------------------------------------------------------


def test_a_second_delivery_posts_nothing(workspace: SlackWorkspace) -> None:
    report.handler(WEEKLY, CONTEXT)
    assert report.handler(WEEKLY, CONTEXT) == {"period": "2026-W47", "posted": False}
    assert len(workspace.messages(REPORT.channel)) == 2
    assert report.handler({**WEEKLY, "period": "month"}, CONTEXT)["posted"]


def test_a_retry_after_a_failure_posts(world: OutsideWorld, workspace: SlackWorkspace) -> None:
    world.set_fault("slack.com", Fault(status=503))
    with pytest.raises(UnavailableError):
        report.handler(WEEKLY, CONTEXT)
    world.clear_fault()
    assert report.handler(WEEKLY, CONTEXT)["posted"]
    assert len([m for m in workspace.messages(REPORT.channel) if m.thread_ts is None]) == 1


# --- Failing --------------------------------------------------------------------------------------------------------


def take_scope(scope: str) -> Callable[[SlackWorkspace], None]:
    return lambda workspace: workspace.scopes.discard(scope)


@pytest.fixture
def scopes(workspace: SlackWorkspace) -> Iterator[None]:
    before = set(workspace.scopes)
    yield
    workspace.scopes = before


AGAIN = "(make slack-manifest), and install it again"


@pytest.mark.usefixtures("scopes")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda workspace: workspace.add_channel(REPORT.channel, "llm-usage", bot=False),
            "Slack refused chat.postMessage: not_in_channel: invite the app to the channel (/invite, or the channel's "
            "Integrations)",
        ),
        (
            lambda workspace: workspace._channels.pop(REPORT.channel),
            "Slack refused chat.postMessage: channel_not_found: set report.channel to a channel's id (C…), and invite "
            "the app to it if it is private",
        ),
        (
            lambda workspace: workspace._groups.pop("S0CLAUDE"),
            "Slack refused usergroups.users.list of S0CLAUDE: no_such_subteam: set the plan's seats to the id of a "
            "user group (S…), of a workspace that has the app",
        ),
        (
            take_scope("chat:write"),
            f"Slack refused chat.postMessage: missing_scope: give the app the scope chat:write {AGAIN}",
        ),
        (
            take_scope("users:read"),
            f"Slack refused users.list: missing_scope: give the app the scope users:read {AGAIN}",
        ),
    ],
)
def test_a_refusal_says_what_to_do(
    workspace: SlackWorkspace, change: Callable[[SlackWorkspace], object], sentence: str
) -> None:
    change(workspace)
    with pytest.raises(RefusedError) as error:
        report.handler(WEEKLY, CONTEXT)
    assert str(error.value) == sentence
    assert workspace.messages() == []


def test_a_wrong_token(workspace: SlackWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    right = slack.client()
    right.token = "xoxb-wrong"
    monkeypatch.setattr(slack, "client", lambda: right)
    with pytest.raises(
        UnavailableError, match="invalid_auth: store the bot's token anew as the secret SLACK_BOT_TOKEN"
    ):
        report.handler(WEEKLY, CONTEXT)


@pytest.mark.parametrize("error", [UnavailableError("LiteLLM did not answer"), RefusedError("It knows no such key")])
def test_litellms_errors_go_through(
    workspace: SlackWorkspace, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(FakeLiteLlm, "error", error)
    with pytest.raises(type(error)):
        report.handler(WEEKLY, CONTEXT)
    assert workspace.messages() == []


@pytest.mark.parametrize("status", [429, 500])
def test_slack_does_not_answer(world: OutsideWorld, workspace: SlackWorkspace, status: int) -> None:
    world.set_fault("slack.com", Fault(status=status))
    with pytest.raises(UnavailableError, match=r"^Slack did not answer auth\.test \("):
        report.handler(WEEKLY, CONTEXT)


def test_files_that_fail_once_are_shared(world: OutsideWorld, workspace: SlackWorkspace) -> None:
    world.set_fault("files.slack.com", Fault(status=500, count=1))
    assert report.handler(WEEKLY, CONTEXT)["files"] == 3
    assert len(workspace.files()) == 3
    assert len(workspace.messages(REPORT.channel)) == 2


def test_files_that_fail_are_told_in_the_thread(world: OutsideWorld, workspace: SlackWorkspace) -> None:
    world.set_fault("files.slack.com", Fault(status=500))
    assert report.handler(WEEKLY, CONTEXT) == {"period": "2026-W47", "posted": True, "users": 2, "files": 0}
    message, told = workspace.messages(REPORT.channel)
    assert (told.thread_ts, told.text) == (
        message.ts,
        "The tables and the picture are missing: Slack did not answer the upload of files (HTTPError)",
    )
    assert report.handler(WEEKLY, CONTEXT)["posted"] is False


@pytest.mark.usefixtures("scopes")
def test_files_without_their_scope(workspace: SlackWorkspace) -> None:
    workspace.scopes.discard("files:write")
    report.handler(WEEKLY, CONTEXT)
    assert workspace.messages(REPORT.channel)[-1].text == (
        "The tables and the picture are missing: Slack refused the upload of files: missing_scope: give the app the "
        f"scope files:write {AGAIN}"
    )


def test_nothing_is_raised_once_it_is_posted(
    world: OutsideWorld, workspace: SlackWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        world.set_fault("*slack.com", Fault(status=503))
        raise UnavailableError("Slack is gone")

    monkeypatch.setattr(slack.Channel, "upload", gone)
    assert report.handler(WEEKLY, CONTEXT)["files"] == 0
    assert len(workspace.messages(REPORT.channel)) == 1


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        ({}, "The period is 'None': it must be week or month."),
        ({"period": "day"}, "The period is 'day': it must be week or month."),
        ({"period": "week", "time": "soon"}, "The time is 'soon': it must be as in 2026-11-30T00:10:00Z."),
    ],
)
def test_an_event_that_is_none(workspace: SlackWorkspace, event: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError) as error:
        report.handler(event, CONTEXT)
    assert str(error.value) == sentence


def test_an_environment_without_a_report(workspace: SlackWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "report", lambda: None)
    with pytest.raises(ValueError, match="has no report: give it report="):
        report.handler(WEEKLY, CONTEXT)
