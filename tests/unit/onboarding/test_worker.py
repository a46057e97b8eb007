"""The worker: from a message in the queue to one account, one mail and one answer, whatever fails on the way."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from onboarding import environment, worker
from onboarding import once as once_module
from onboarding.errors import RefusedError, UnavailableError
from onboarding.invitation import MailRefusedError
from onboarding.once import Once
from onboarding.requests import Close, Create, Decide, Request, to_json
from onboarding.texts import say

from tests.unit.onboarding.fake_services import SETTINGS, START, Context, Response, World, create, error

SATO, CLARK, BOSS, CHIEF = "U000000SATO", "U0000CLARK", "U000000BOSS", "U0000CHIEF"
EMAIL = "sato@example.com"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def decide(request: Create, *, approve: bool = True, by: str = BOSS) -> Decide:
    channel = SETTINGS.audit_channel
    return Decide(id=f"{channel}:7.1", approve=approve, by=by, channel=channel, message="7.1", request=request)


def test_one_account_one_mail_one_answer(world: World) -> None:
    assert world.run(create(execution="Fx1")) == 1
    user = world.litellm.users[EMAIL]
    assert user["user_role"] == "internal_user"
    assert (user["max_budget"], user["budget_duration"], user["models"], user["tpm_limit"]) == (
        100,
        "30d",
        ["small"],
        1000,
    )
    assert user["metadata"]["onboarding"] == {
        "slack_user": SATO,
        "request": "Fx1",
        "team": "platform",
        "purpose": "a secret plan",
        "invitation": "invitation-1",
        "invited": "Fx1",
        "mailed_at": START.isoformat(),
    }
    assert world.litellm.teams == {"platform": [EMAIL]}
    assert world.mail.sent == [(EMAIL, "invitation-1")]
    (answer,) = world.answers()
    assert answer == say("created", "ja", who=f"<@{SATO}>", until="2026-12-01 12:00 (UTC+09:00)")
    assert world.slack.said("functions.completeSuccess") == [
        {"function_execution_id": "Fx1", "outputs": {"status": "created", "message": answer}}
    ]
    (line,) = world.lines()
    assert line.startswith("`created`")
    assert "secret plan" not in line


def test_the_same_request_twice_does_nothing_more(world: World) -> None:
    world.run(create(execution="Fx1"))
    calls = list(world.outside.calls)
    assert world.run(create(execution="Fx1")) == 1
    assert world.outside.calls == calls


def test_two_requests_for_one_person_are_one_account_and_one_mail(world: World) -> None:
    world.run(create("Fx1"))
    world.run(create("Fx2", requester=CLARK))
    assert len(world.litellm.users) == len(world.mail.sent) == 1
    assert "already. The invitation was mailed at 2026-11-24 03:00 (UTC)" in world.answers()[1]


def approved(world: World) -> Request:
    return decide(create(max_budget=500))


def closed_before(world: World) -> Request:
    world.run(create("Fx0"))
    world.slack.members[SATO]["deleted"] = True
    world.run(Close(id="Ev1", who=SATO))
    world.slack.members[SATO]["deleted"] = False
    return create(execution="Fx1")


def never_used(world: World) -> Request:
    world.run(create("Fx0"))
    world.outside.now += timedelta(days=8)
    return create(execution="Fx1")


def leaves(world: World) -> Request:
    world.run(create("Fx0"))
    world.litellm.users[EMAIL]["keys"] += [{"token": "hash1", "blocked": None}, {"token": "hash2", "blocked": None}]
    world.slack.members[SATO]["deleted"] = True
    return Close(id="Ev1", who=SATO)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Everything in the log, the fields beside the messages too."""
    return caplog.text + "".join(str(vars(record)) for record in caplog.records)


CASES: dict[str, Callable[[World], Request]] = {
    "new": lambda _world: create(execution="Fx1"),
    "pending": lambda _world: create(execution="Fx1", max_budget=500),
    "approved": approved,
    "denied": lambda _world: decide(create(max_budget=500), approve=False),
    "reopened": closed_before,
    "never used": never_used,
    "leaves": leaves,
}


def outcome(world: World) -> tuple[str, dict[str, list[str]], int, int, list[str]]:
    """What must be the same, whatever failed: all that is left in LiteLLM, and all that anybody was told."""
    mailed = {invitation for _, invitation in world.mail.sent}
    numbers = {invitation: f"mailed {n}" for n, (_, invitation) in enumerate(world.mail.sent)}
    users = json.dumps(world.litellm.users, sort_keys=True)
    for invitation, number in numbers.items():
        users = users.replace(f'"{invitation}"', f'"{number}"')
    kept = {say("kept", language) for language in ("ja", "en")}
    told = sorted(repr((name, said)) for name, said in world.slack.told if said.get("text") not in kept)
    return users, world.litellm.teams, len(world.mail.sent), len(mailed), told


def faults() -> list[tuple[str, str, int]]:
    """Every outgoing call of every case, by name and number, each with every way to fail."""
    found: list[tuple[str, str, int]] = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        for case, prepare in CASES.items():
            world = World(monkeypatch)
            request = prepare(world)
            before = len(world.outside.calls)
            world.run(request)
            found += [(case, world.outside.calls[n], n) for n in range(before, len(world.outside.calls))]
    return found


FAULTS = faults()
# What Slack or SES has done although its answer was lost cannot be looked up: only there a second time is possible.
BLIND = ("SendEmail", "chat.", "functions.")


@pytest.mark.parametrize("how", ["before", "after", "crash", "crash after"])
@pytest.mark.parametrize(("case", "name", "number"), FAULTS, ids=lambda value: str(value).replace(" ", "-"))
def test_any_call_fails_once_and_the_end_is_the_same(
    monkeypatch: pytest.MonkeyPatch, case: str, name: str, number: int, how: str
) -> None:
    smooth, rough = World(monkeypatch), World(monkeypatch)
    monkeypatch.setattr(worker.Parts, "of", smooth.parts)
    monkeypatch.setattr(worker, "store", lambda: smooth.table)
    smooth.run(CASES[case](smooth))
    monkeypatch.setattr(worker.Parts, "of", rough.parts)
    monkeypatch.setattr(worker, "store", lambda: rough.table)
    request = CASES[case](rough)
    rough.outside.fault = lambda _name, n: how if n == number else None
    assert rough.run(request) == 2
    if "after" in how and name.startswith(BLIND):
        (_, _, mails, different, told), (_, _, wanted, _, wanted_told) = outcome(rough), outcome(smooth)
        assert set(told) == set(wanted_told)
        assert len(told) + mails == len(wanted_told) + wanted + 1  # one thing twice, at worst
        assert different == wanted  # but the same link
    else:
        assert outcome(rough) == outcome(smooth)


def test_litellm_down_for_good_leaves_nothing_and_the_message_to_the_dead_letters(world: World) -> None:
    world.outside.fault = lambda name, _: "before" if name.endswith(("/team/member_add", "/team/info")) else None
    assert world.run(create(execution="Fx1")) == 0
    assert world.queue.waits == [30, 60, 120, 240, 480, 900, 900, 900, 900, 900]
    assert (world.litellm.users, world.mail.sent) == ({}, [])
    first, last = (one["text"] for one in world.slack.said(channel=SATO))
    assert (first, last) == (say("kept", "ja"), say("failed", "ja", who=f"<@{SATO}>", id="Fx1"))
    assert [one["error"] for one in world.slack.said("functions.completeError")] == [last]
    assert [line.split()[0] for line in world.lines()] == ["`failed`"]

    world.outside.fault = lambda _name, _number: None  # sent again from the dead-letter queue: from the start
    assert world.run(create(execution="Fx1")) == 1
    assert world.mail.sent == [(EMAIL, "invitation-1")]


def test_mail_down_for_good_takes_the_account_back(world: World) -> None:
    world.outside.fault = lambda name, _: "before" if name == "SendEmail" else None
    assert world.run(create()) == 0
    assert (world.litellm.users, world.litellm.teams, world.litellm.invitations) == ({}, {"platform": []}, {})


def test_mail_down_for_good_closes_again_what_was_opened_again(world: World) -> None:
    request = closed_before(world)
    world.outside.fault = lambda name, _: "before" if name == "SendEmail" else None
    assert world.run(request) == 0
    metadata = world.litellm.users[EMAIL]["metadata"]
    assert metadata["scim_active"] is False
    assert metadata["onboarding"]["closed_at"]
    world.outside.fault = lambda _name, _number: None
    assert world.run(request) == 1
    assert world.litellm.users[EMAIL]["metadata"]["scim_active"] is True


def test_an_account_whose_mail_is_out_is_not_taken_back(world: World) -> None:
    world.outside.fault = lambda name, _: "before" if name == "chat.postMessage" else None
    assert world.run(create()) == 0
    assert world.mail.sent == [(EMAIL, "invitation-1")]
    assert EMAIL in world.litellm.users
    world.outside.fault = lambda _name, _number: None
    assert world.run(create()) == 1
    assert len(world.mail.sent) == len(world.answers()) == 1


def test_a_note_that_fails_in_the_last_attempt_does_not_fail_the_account(world: World) -> None:
    def fault(name: str, _number: int) -> str | None:
        return "before" if name == "POST /user/update" and world.mail.sent else None

    world.outside.fault = fault
    assert world.run(create()) == World.ATTEMPTS
    assert (len(world.mail.sent), len(world.answers())) == (1, 1)
    assert world.litellm.users[EMAIL]["metadata"]["onboarding"]["mailed_at"] is None


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (MailRefusedError("SES refused the mail (MessageRejected): [address]"), "failed_mail"),
        (RefusedError("refused"), "failed"),
    ],
)
def test_a_refused_mail_takes_the_account_back_at_once(world: World, failure: Exception, text: str) -> None:
    world.mail.failure = failure
    assert world.run(create(execution="Fx1")) == 1
    assert world.litellm.users == {}
    assert world.answers() == [say(text, "ja", who=f"<@{SATO}>", id="Fx1")]
    assert len(world.slack.said("functions.completeError")) == 1


@pytest.mark.parametrize("route", ["/user/new", "/team/new", "/team/member_add", "/invitation/new"])
def test_what_litellm_refuses_leaves_nothing(world: World, route: str) -> None:
    world.litellm.refusals[route] = Response(403, {"detail": "Virtual key is not allowed to call this route."})
    assert world.run(create()) == 1
    assert world.litellm.users == {}
    assert world.answers() == [say("failed", "ja", who=f"<@{SATO}>", id="Fx1")]


def test_a_wrong_key_keeps_the_request_and_says_what_to_do(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.litellm.refusals["/user/info"] = error(401, "Authentication Error, Received API Key = sk-...abcd")
    assert world.attempt(to_json(create())) is False
    assert world.outside.calls.count("GET /user/info") == 2  # once more with the key read anew
    assert "raise LABEL in stacks/constructs/litellm_key.py" in logged(caplog)
    assert "abcd" not in logged(caplog)


def test_slack_down_is_waited_out(world: World) -> None:
    world.outside.fault = lambda name, n: "before" if name == "users.info" and n < 8 else None
    assert world.run(create()) > 1
    assert (len(world.mail.sent), len(world.answers())) == (1, 1)


def test_what_slack_refuses_to_pass_on_does_not_undo_the_account(world: World) -> None:
    world.slack.refusals = {
        "functions.completeSuccess": "invalid_function_execution",
        "chat.postMessage": "is_archived",
    }
    assert world.run(create(execution="Fx1")) == 1
    assert EMAIL in world.litellm.users


def test_a_malformed_message_goes_to_the_dead_letters_without_waiting(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    assert world.attempt('{"kind": "create", "purpose": "a secret plan"}') is False
    assert world.queue.waits == [0]
    assert "malformed message" in caplog.text
    assert "secret plan" not in logged(caplog)


def test_after_a_failed_message_the_others_wait(world: World) -> None:
    records = [
        {"messageId": f"m{n}", "receiptHandle": "receipt", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}
        for n, body in enumerate([to_json(create()), "{", to_json(create("Fx2", who=CLARK))])
    ]
    answer = worker.handler({"Records": records}, Context())  # type: ignore[arg-type]
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]}
    assert list(world.litellm.users) == [EMAIL]


def test_the_log_has_ids_only(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    world.outside.fault = lambda _name, number: "before" if number % 5 == 4 else None
    world.run(create(execution="Fx1"))
    world.outside.fault = lambda _name, _number: None
    world.litellm.refusals["/user/new"] = error(400, f"User with email {EMAIL} already exists, key sk-very-secret")
    world.litellm.users.clear()
    world.run(create("Fx2"))
    text = logged(caplog) + "".join(capsys.readouterr())
    assert "[address]" in text  # LiteLLM's refusal is there
    for secret in ("secret plan", "@example.com", "the value of", "xoxb-", "sk-very", "platform"):
        assert secret not in text.lower()


# The approval.


def test_above_the_default_an_approver_decides(world: World) -> None:
    request = create(max_budget=500, execution="Fx1", purpose="x" * 300)
    assert world.run(request) == 1
    assert world.litellm.users == {}
    (asked,) = (one for one in world.slack.said(channel=SETTINGS.audit_channel) if "blocks" in one)
    assert f"<!subteam^{SETTINGS.approver_group}>" in asked["text"]
    buttons = asked["blocks"][-1]["elements"]
    assert [button["action_id"] for button in buttons] == ["approve_account", "deny_account"]
    assert all(Create(**json.loads(button["value"])) == request for button in buttons)
    assert world.slack.said("functions.completeSuccess")[0]["outputs"]["status"] == "pending"

    assert world.run(decide(request)) == 1
    assert world.litellm.users[EMAIL]["max_budget"] == 500
    assert world.litellm.users[EMAIL]["metadata"]["onboarding"]["approved_by"] == BOSS
    (shown,) = world.slack.said("chat.update")
    assert shown["ts"] == "7.1"
    assert f"<@{BOSS}>" in shown["text"]
    assert all(block["type"] == "section" for block in shown["blocks"])
    assert len(world.answers()) == 2
    assert len(world.slack.said("functions.completeSuccess")) == 1  # the step ended with `pending`

    world.run(decide(request, by=CHIEF, approve=False))
    assert [one["text"] for one in world.slack.said("chat.postEphemeral")] == [say("decided", "en", by=f"<@{BOSS}>")]
    assert len(world.answers()) == 2


def test_the_longest_purpose_fits_into_a_button(world: World) -> None:
    for purpose in ("あ" * 300, '"' * 300, "\\" * 300, "😀" * 300):
        request = create(f"Fx{ord(purpose[0])}", max_budget=500, purpose=purpose)
        world.run(request)
    values = [one["blocks"][-1]["elements"][0]["value"] for one in world.slack.said() if "blocks" in one]
    assert len(values) == 4
    assert max(map(len, values)) <= 2000


def test_denied(world: World) -> None:
    world.run(decide(create(max_budget=500, requester=CLARK), approve=False))
    (answer,) = world.answers()
    assert "was not approved by <@U000000BOSS>" in answer
    assert world.litellm.users == {}
    assert "`refused`" in world.lines()[0]


@pytest.mark.parametrize(
    ("by", "request_", "text"),
    [
        (CLARK, create(max_budget=500), say("no_approver", "en")),
        ("U0NOBODY0", create(max_budget=500), say("no_approver", "en")),
        (SATO, create(max_budget=500), say("own_request", "ja")),
        (SATO, create(max_budget=500, who=CLARK), say("own_request", "ja")),
        (BOSS, create(max_budget=500, who=BOSS), say("own_request", "ja")),
    ],
)
def test_who_may_not_decide_is_told_so_and_the_buttons_stay(world: World, by: str, request_: Create, text: str) -> None:
    assert world.run(decide(request_, by=by)) == 1
    (told,) = world.slack.told
    assert (told[0], told[1]["text"], told[1]["user"]) == ("chat.postEphemeral", text, by)
    world.run(decide(request_, by=CHIEF))
    assert len(world.litellm.users) == 1


def test_without_approvers_nobody_gets_more(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, dataclasses.replace(SETTINGS, approver_group=None))
    world.run(create(max_budget=500))
    assert world.answers() == [say("refused_approval", "ja", default="100")]
    world.run(decide(create("Fx2", max_budget=500)))
    assert world.litellm.users == {}


def test_nobody_hears_of_a_purpose_as_a_mention(world: World) -> None:
    world.run(create(max_budget=500, purpose="<!channel> & <@U1>"))
    (asked,) = (one for one in world.slack.said() if "blocks" in one)
    assert "&lt;!channel&gt; &amp; &lt;@U1&gt;" in asked["blocks"][1]["text"]["text"]


# Leaving.


def test_who_leaves_is_shut_out_and_the_history_stays(world: World) -> None:
    world.run(leaves(world))
    user = world.litellm.users[EMAIL]
    assert [key["blocked"] for key in user["keys"]] == [True, True]
    assert user["metadata"]["scim_active"] is False
    assert user["metadata"]["onboarding"]["closed_at"] == START.isoformat()
    assert (
        world.lines()[-1]
        == f"`closed` LLM gateway account of <@{SATO}> closed: they have left, and every key is blocked."
    )
    lines = len(world.lines())
    world.run(Close(id="Ev2", who=SATO))
    assert len(world.lines()) == lines


def test_a_key_made_after_closing_is_blocked_by_the_next_event(world: World) -> None:
    world.run(leaves(world))
    world.litellm.users[EMAIL]["keys"].append({"token": "hash3", "blocked": None})
    world.run(Close(id="Ev2", who=SATO))
    assert world.litellm.users[EMAIL]["keys"][-1]["blocked"] is True


def test_who_is_still_there_keeps_the_account(world: World) -> None:
    world.run(create())
    world.run(Close(id="Ev1", who=SATO))
    world.run(Close(id="Ev2", who="U0NOBODY0"))
    assert "scim_active" not in world.litellm.users[EMAIL]["metadata"]


def test_an_account_is_found_after_the_address_has_changed(world: World) -> None:
    request = leaves(world)
    world.slack.members[SATO]["profile"]["email"] = "tanaka@example.com"
    world.run(request)
    assert world.litellm.users[EMAIL]["metadata"]["scim_active"] is False


def test_an_address_that_somebody_else_has_now_is_not_closed(world: World) -> None:
    world.run(create())
    world.litellm.users[EMAIL]["metadata"]["onboarding"]["slack_user"] = "U0000NEWONE"
    world.slack.members[SATO]["deleted"] = True
    world.run(Close(id="Ev1", who=SATO))
    assert "scim_active" not in world.litellm.users[EMAIL]["metadata"]


def test_an_account_made_by_hand_closes_too(world: World) -> None:
    world.litellm.add("Sato@Example.com", user_id="by-hand", metadata={"cost_center": "7"})
    world.slack.members[SATO]["deleted"] = True
    world.run(Close(id="Ev1", who=SATO))
    metadata = world.litellm.users["by-hand"]["metadata"]
    assert (metadata["scim_active"], metadata["cost_center"]) == (False, "7")


@pytest.mark.parametrize(
    ("rules", "word"),
    [
        (dataclasses.replace(SETTINGS, dry_run=True), "`dry run`"),
        (dataclasses.replace(SETTINGS, protected=(EMAIL,)), "`protected`"),
    ],
)
def test_a_protected_account_or_a_dry_run_closes_nothing(
    monkeypatch: pytest.MonkeyPatch, rules: object, word: str
) -> None:
    world = World(monkeypatch, rules)  # type: ignore[arg-type]
    world.run(leaves(world))
    assert "scim_active" not in world.litellm.users[EMAIL]["metadata"]
    assert not any(key["blocked"] for key in world.litellm.users[EMAIL]["keys"])
    assert world.lines()[-1].startswith(word)


def test_a_closing_that_never_works_is_told(world: World) -> None:
    request = leaves(world)
    world.outside.fault = lambda name, _: "before" if name == "POST /key/block" else None
    assert world.run(request) == 0
    assert world.lines()[-1].startswith("`failed`")
    assert world.litellm.users[EMAIL]["metadata"]["scim_active"] is False  # no key of theirs works all the same
    world.outside.fault = lambda _name, _number: None
    assert world.run(request) == 1
    assert world.lines()[-1].startswith("`closed`")


def test_the_parts_come_from_the_functions_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ONBOARDING": json.dumps(dataclasses.asdict(SETTINGS)),
        "TABLE_NAME": "table",
        "LITELLM_URL": "http://litellm:4000",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(environment, "secret", lambda _name: "xoxb-not-a-real-token")
    cached = (environment.settings, environment.places, worker.store, worker.litellm, worker.sqs)
    try:
        for one in cached:
            one.cache_clear()
        assert isinstance(worker.Parts.of(Once(worker.store(), Context())), worker.Parts)  # type: ignore[arg-type]
        assert worker.sqs().meta.service_model.service_name == "sqs"
    finally:
        for one in cached:
            one.cache_clear()


def test_waits_double_to_a_quarter_of_an_hour() -> None:
    assert [worker.wait_after(n) for n in (1, 2, 3, 5, 6, 10)] == [30, 60, 120, 480, 900, 900]


def test_what_the_approvers_are_not_shown_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would ever decide: who asked is told, and does not wait."""
    data = world.slack._data

    def refused(method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"ok": False, "error": "not_in_channel"} if arguments.get("blocks") else data(method, arguments)

    monkeypatch.setattr(world.slack, "_data", refused)
    assert world.run(create(max_budget=500.0)) == 1
    (answer,) = world.answers()
    assert "作成できませんでした" in answer
    assert not world.litellm.users


def test_what_the_table_does_not_take_is_not_done_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for what nobody has noticed, which is not done before the table has it."""

    def refuse(_record: object) -> None:
        raise RuntimeError("no table")

    monkeypatch.setattr(world.table, "_update_record", refuse)
    monkeypatch.setattr(once_module, "_unwritten", {})
    once = Once(world.table, Context())  # type: ignore[arg-type]
    assert [once("a message", lambda: "out"), once("a message", lambda: "out again")] == ["out", "out"]
    with pytest.raises(UnavailableError, match="the table of what has been done did not answer"):
        once("a decision", lambda: {"by": "U1"}, noticed=False)
