"""The daily sweep over everybody, and the reports of mails that did not arrive."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from onboarding import bounces, sweep
from onboarding.errors import UnavailableError

from tests.unit.onboarding.fake_services import SETTINGS, Context, CrashError, FakeSlack, Outside, World, member

CONTEXT: Any = Context()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def joined(world: World, number: int, *, left: bool = False, noted: bool = True, **metadata: Any) -> str:  # noqa: ANN401
    """A person with an account; `noted` in it is the Slack user, as in one made by the worker."""
    user, email = f"U{number:09}", f"person{number}@example.com"
    world.slack.add(member(user, email, deleted=left))
    onboarding = {"onboarding": {"slack_user": user, "request": "Fx"}} if noted else {}
    world.litellm.add(email, metadata={**onboarding, **metadata}, keys=[{"token": email, "blocked": None}])
    return email


def closed(world: World) -> list[str]:
    return [id_ for id_, user in world.litellm.users.items() if user["metadata"].get("scim_active") is False]


def test_who_has_left_is_shut_out_once(world: World) -> None:
    gone = [joined(world, 1, left=True), joined(world, 2, left=True, noted=False)]
    joined(world, 3)
    world.litellm.add("nobody@example.com")
    world.litellm.add("stranger@example.com.au")
    assert sweep.handler({}, CONTEXT) == {"accounts": 4, "leaving": 2, "unknown": 1, "closed": 2}
    assert closed(world) == gone
    assert all(world.litellm.users[email]["keys"][0]["blocked"] for email in gone)
    assert [line.split()[0] for line in world.lines()] == ["`closed`", "`closed`"]
    sweep.handler({}, CONTEXT)
    assert len(world.lines()) == 2


def test_who_came_back_with_a_new_slack_user_keeps_the_account(world: World) -> None:
    email = joined(world, 1, left=True)
    world.slack.add(member("U0000NEWONE", email))
    joined(world, 2, noted=False)
    world.slack.add(member("U0000OLDONE", "person2@example.com", deleted=True))
    assert sweep.handler({}, CONTEXT)["leaving"] == 0


def test_a_changed_address_is_still_the_same_person(world: World) -> None:
    email = joined(world, 1)
    world.slack.members["U000000001"]["profile"]["email"] = "married@example.com"
    assert sweep.handler({}, CONTEXT) == {"accounts": 1, "leaving": 0, "unknown": 0, "closed": 0}
    world.slack.members["U000000001"]["deleted"] = True
    sweep.handler({}, CONTEXT)
    assert closed(world) == [email]


def test_a_stranger_closes_nothing(world: World) -> None:
    joined(world, 1, noted=False)
    world.slack.members.pop("U000000001")
    world.slack.add(member("U0STRANGER", "person1@example.com", deleted=True, is_stranger=True))
    assert sweep.handler({}, CONTEXT) == {"accounts": 1, "leaving": 0, "unknown": 1, "closed": 0}


def test_too_many_at_once_close_none(world: World) -> None:
    for number in range(SETTINGS.close_limit + 1):
        joined(world, number, left=True)
    assert sweep.handler({}, CONTEXT) == {"accounts": 4, "leaving": 4, "unknown": 0, "closed": 0}
    assert closed(world) == []
    (line,) = world.lines()
    assert "found 4 LLM gateway accounts" in line
    assert "the limit of 3" in line
    assert "close_limit to 4" in line


def test_protected_and_closed_ones_are_passed_over(world: World) -> None:
    world.slack.add(member("U0000000CI", "ci@example.com", deleted=True))
    world.litellm.add("CI@example.com")
    joined(world, 1, left=True, scim_active=False)
    assert sweep.handler({}, CONTEXT) == {"accounts": 0, "leaving": 0, "unknown": 0, "closed": 0}
    assert world.lines() == []


def test_a_dry_run_only_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, dataclasses.replace(SETTINGS, dry_run=True, close_limit=100))
    for number in range(sweep.NAMED + 1):
        joined(world, number, left=True)
    assert sweep.handler({}, CONTEXT)["closed"] == 0
    assert closed(world) == []
    (line,) = world.lines()
    assert line.startswith("`dry run` The daily sweep would close the LLM gateway accounts of <@U000000000>, ")
    assert line.endswith(" and 1 more: they have left.")


@pytest.mark.parametrize("name", ["POST /user/update", "POST /key/block", "chat.postMessage"])
@pytest.mark.parametrize("how", ["before", "crash"])
@pytest.mark.parametrize("nth", [0, 1])
def test_the_next_run_goes_on_where_one_stopped(world: World, name: str, how: str, nth: int) -> None:
    gone = [joined(world, 1, left=True), joined(world, 2, left=True)]
    calls = world.outside.calls
    world.outside.fault = lambda called, _: how if called == name and calls.count(name) == nth + 1 else None
    with pytest.raises((UnavailableError, CrashError)):
        sweep.handler({}, CONTEXT)
    world.outside.fault = lambda _name, _number: None
    sweep.handler({}, CONTEXT)
    assert closed(world) == gone
    assert all(world.litellm.users[email]["keys"][0]["blocked"] for email in gone)
    assert len(world.lines()) == 2


def test_ten_thousand_people(world: World) -> None:
    """In pages, and with no call for each person: 101 of LiteLLM's, 21 of Slack's, and a few for each who has left."""
    for number in range(10_000):
        joined(world, number, left=number in (17, 4_711))
    assert sweep.handler({}, CONTEXT) == {"accounts": 10_000, "leaving": 2, "unknown": 0, "closed": 2}
    calls = world.outside.calls
    assert (calls.count("GET /user/list"), calls.count("users.list")) == (101, 21)
    assert len(calls) < 150


# Reports of SES.


def report(kind: str, **detail: Any) -> dict[str, Any]:  # noqa: ANN401
    message = {"eventType": kind, "mail": {"destination": ["to@example.com"]}, kind.lower(): detail}
    return {"Records": [{"Sns": {"MessageId": "1", "Message": json.dumps(message)}}]}


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> FakeSlack:
    fake = FakeSlack(Outside())
    monkeypatch.setattr(bounces, "client", lambda: fake)
    monkeypatch.setattr(bounces, "settings", lambda: SETTINGS)
    return fake


@pytest.mark.parametrize(
    ("event", "start"),
    [
        (
            report(
                "Bounce", bounceType="Permanent", bounceSubType="General", bouncedRecipients=[{"emailAddress": "a@b.c"}]
            ),
            "`bounce` A mail of the LLM gateway to a@b.c did not get through (Permanent General): have the address",
        ),
        (
            report("Complaint", complaintFeedbackType="abuse", complainedRecipients=[{"emailAddress": "a@b.c"}]),
            "`complaint` A mail of the LLM gateway to a@b.c did not get through (abuse): SES sends nothing more",
        ),
        (
            report("Reject", reason="Bad <content>"),
            "`reject` A mail of the LLM gateway to to@example.com did not get through (Bad &lt;content&gt;): SES found",
        ),
        (
            report("Bounce"),
            "`bounce` A mail of the LLM gateway to to@example.com did not get through (no reason given)",
        ),
    ],
)
def test_a_report_is_a_line(slack: FakeSlack, event: dict[str, Any], start: str) -> None:
    bounces.handler(event, CONTEXT)
    (told,) = slack.said(channel=SETTINGS.audit_channel)
    assert told["text"].startswith(start)


@pytest.mark.parametrize("message", ["no JSON", "[]", "{}", '{"eventType": "Delivery"}', '{"eventType": "Bounce"}'])
def test_anything_else_is_no_line(slack: FakeSlack, message: str) -> None:
    bounces.handler({"Records": [{"Sns": {"Message": message}}]}, CONTEXT)
    assert slack.told == []


def test_slack_down_lets_sns_try_again(slack: FakeSlack, caplog: pytest.LogCaptureFixture) -> None:
    slack.outside.fault = lambda _name, _number: "before"
    with pytest.raises(UnavailableError):
        bounces.handler(report("Reject"), CONTEXT)
    assert "example.com" not in caplog.text
