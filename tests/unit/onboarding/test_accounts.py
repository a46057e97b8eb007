"""Who gets an account, what becomes of one that is there, and how LiteLLM, Slack and SES are spoken to."""

from __future__ import annotations

import dataclasses
import string
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from onboarding import environment, invitation, people
from onboarding.errors import RefusedError, UnavailableError, harmless
from onboarding.invitation import MailRefusedError
from onboarding.litellm import LiteLlm
from onboarding.people import People, Person, refusal
from onboarding.requests import Create, Decide
from onboarding.texts import TEXTS, say

from tests.unit.onboarding.fake_services import PLACES, SETTINGS, FakeSlack, Outside, World, create, member

SATO, EMAIL = "U000000SATO", "sato@example.com"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def approved(request: Create, by: str = "U000000BOSS") -> Decide:
    return Decide(id="m1", approve=True, by=by, channel="C0", message="1.1", request=request)


# Who gets one.


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ({"deleted": True}, "refused_deleted"),
        ({"is_bot": True}, "refused_bot"),
        ({"is_app_user": True}, "refused_bot"),
        ({"id": "USLACKBOT"}, "refused_bot"),
        ({"is_stranger": True}, "refused_elsewhere"),
        ({"team_id": "T0STRANGERS"}, "refused_elsewhere"),
        ({"is_restricted": True}, "refused_guest"),
        ({"is_restricted": True, "is_ultra_restricted": True}, "refused_guest"),
        ({"is_invited_user": True}, "refused_invited"),
        ({"profile": {}}, "refused_no_email"),
        ({"profile": {"email": ""}}, "refused_no_email"),
        ({"is_email_confirmed": False}, None),  # by single sign-on
        ({"is_email_confirmed": None}, None),
        ({"is_email_confirmed": False, "is_invited_user": True}, "refused_invited"),
        ({"is_email_confirmed": False, "profile": {"email": "sato@evil.com"}}, "refused_domain"),
        ({"profile": {"email": "sato@evil.com"}}, "refused_domain"),
        ({"profile": {"email": "sato@example.com.evil.com"}}, "refused_domain"),
        ({"profile": {"email": "sato@mail.example.com"}}, "refused_domain"),
        ({"profile": {"email": "sato@notexample.com"}}, "refused_domain"),
        ({"profile": {"email": " Sato@EXAMPLE.com "}}, None),
    ],
)
def test_refusals(world: World, user: dict[str, Any], why: str | None) -> None:
    one = member(SATO, EMAIL, **user) if "id" not in user else {**member(SATO, EMAIL), **user}
    world.slack.members = {SATO: one}
    world.run(create(execution="Fx1"))
    (outputs,) = (one["outputs"] for one in world.slack.said("functions.completeSuccess"))
    if why:
        assert outputs["status"] == "refused"
        assert world.litellm.users == {}
        assert world.answers() == [say(why, "ja", who=f"<@{SATO}>", domains="example.com, example.co.jp")]
    else:
        assert (outputs["status"], list(world.litellm.users)) == ("created", [EMAIL])


def test_an_organisation_is_compared_by_its_own_id() -> None:
    rules = dataclasses.replace(SETTINGS, workspace="E0000000001")
    inside = Person(id=SATO, email=EMAIL, team="T0000000009", enterprise="E0000000001")
    assert refusal(inside, rules) is None
    assert refusal(dataclasses.replace(inside, enterprise="E0000000002"), rules) == "refused_elsewhere"
    assert refusal(dataclasses.replace(inside, enterprise=""), rules) == "refused_elsewhere"


def test_whom_slack_does_not_show(world: World) -> None:
    world.run(create(who="U0NOBODY0", requester="U0000CLARK"))
    assert world.answers() == [say("refused_unknown", "en")]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"team": "sales"}, say("refused_team", "ja", teams="platform, research")),
        ({"purpose": ""}, say("refused_purpose", "ja", limit=300)),
        ({"purpose": "x" * 301}, say("refused_purpose", "ja", limit=300)),
        ({"max_budget": 1001}, say("refused_budget", "ja", ceiling="1,000")),
        ({"max_budget": -1}, say("refused_budget", "ja", ceiling="1,000")),
    ],
)
def test_what_the_settings_no_longer_allow_is_refused(world: World, more: dict[str, Any], text: str) -> None:
    world.run(create(**more))
    assert world.answers() == [text]
    assert (world.litellm.users, world.litellm.teams) == ({}, {})


# Accounts that are there.


def test_one_that_is_used_stays_as_it_is(world: World) -> None:
    world.run(create("Fx1"))
    world.litellm.invitations["invitation-1"]["is_accepted"] = True
    world.outside.now += timedelta(days=1)
    before = world.litellm.users[EMAIL]["metadata"]
    world.run(create("Fx2", max_budget=50))
    assert world.answers()[1] == say("exists", "ja", who=f"<@{SATO}>", url=PLACES.gateway_url)
    assert (len(world.mail.sent), world.litellm.users[EMAIL]["metadata"]) == (1, before)


@pytest.mark.parametrize("days", [0.02, 8])
def test_one_that_was_never_used_gets_a_fresh_link(world: World, days: float) -> None:
    world.run(create("Fx1"))
    world.litellm.users[EMAIL]["metadata"]["cost_center"] = "7"  # somebody else's
    world.outside.now += timedelta(days=days)
    world.run(create("Fx2"))
    assert world.mail.sent == [(EMAIL, "invitation-1"), (EMAIL, "invitation-2")]
    assert "新しいリンクをメールでお送りしました" in world.answers()[1]
    metadata = world.litellm.users[EMAIL]["metadata"]
    assert (metadata["cost_center"], metadata["onboarding"]["request"]) == ("7", "Fx1")


def test_a_fresh_link_that_cannot_be_mailed_leaves_the_account(world: World) -> None:
    world.run(create("Fx1"))
    world.outside.now += timedelta(days=1)
    world.outside.fault = lambda name, _: "before" if name == "SendEmail" else None
    assert world.run(create("Fx2")) == 0
    assert EMAIL in world.litellm.users


@pytest.mark.parametrize("metadata", [{}, None, {"onboarding": "of another kind"}])
def test_one_made_by_hand_is_left_alone(world: World, metadata: object) -> None:
    world.litellm.add("SATO@example.com", user_id="by-hand", metadata=metadata)
    world.run(create())
    assert world.answers() == [say("exists", "ja", who=f"<@{SATO}>", url=PLACES.gateway_url)]
    assert (world.mail.sent, list(world.litellm.users)) == ([], ["by-hand"])
    assert world.litellm.users["by-hand"]["metadata"] == metadata


def test_an_address_that_only_contains_the_other_is_somebody_else(world: World) -> None:
    world.litellm.add("xsato@example.com")
    world.run(create())
    assert EMAIL in world.litellm.users


def test_one_made_at_the_same_moment_is_not_made_twice(world: World) -> None:
    """Somebody makes the account by hand between the look and the making."""
    real = world.litellm.request

    def request(method: str, url: str, **how: Any) -> Any:  # noqa: ANN401
        if url.endswith("/user/new"):
            world.litellm.add(EMAIL)
        return real(method, url, **how)

    world.litellm.request = request  # type: ignore[method-assign]
    world.run(create())
    assert world.answers() == [say("exists", "ja", who=f"<@{SATO}>", url=PLACES.gateway_url)]
    assert world.mail.sent == []


@pytest.mark.parametrize(("budget", "after", "text"), [(100.0, 500, "exists_budget"), (None, None, "exists")])
def test_a_larger_budget_needs_an_approver(world: World, budget: float | None, after: float | None, text: str) -> None:
    world.litellm.add(EMAIL, max_budget=budget)
    request = create(max_budget=500)
    world.run(request)
    if budget is None:  # no limit at all is enough, without anybody's yes
        assert world.answers() == [say("exists", "ja", who=f"<@{SATO}>", url=PLACES.gateway_url)]
        return
    assert world.answers() == [say("pending", "ja", budget="500")]
    world.run(approved(request))
    assert world.litellm.users[EMAIL]["max_budget"] == after
    assert world.answers()[1] == say(text, "ja", who=f"<@{SATO}>", budget="500")


def test_what_was_closed_here_opens_again_and_its_keys_stay_blocked(world: World) -> None:
    key: dict[str, Any] = {"token": "hash", "blocked": None}  # the closing did not come so far
    noted = {"slack_user": "U0000OLDID", "request": "Fx0", "closed_at": "2026-01-01T00:00:00+00:00", "closed_by": "Ev"}
    world.litellm.add(EMAIL, keys=[key], metadata={"scim_active": False, "onboarding": noted, "other": 1})
    world.run(create(execution="Fx1"))
    metadata = world.litellm.users[EMAIL]["metadata"]
    assert (metadata["scim_active"], metadata["other"], key["blocked"]) == (True, 1, True)
    assert metadata["onboarding"]["slack_user"] == SATO
    assert "closed_at" not in metadata["onboarding"]
    assert world.mail.sent == [(EMAIL, "invitation-1")]
    assert world.litellm.teams == {"platform": [EMAIL]}
    assert "再開しました" in world.answers()[0]


def test_what_an_administrator_closed_stays_closed(world: World) -> None:
    world.litellm.add(EMAIL, metadata={"scim_active": False})
    world.run(create())
    assert world.answers() == [say("refused_closed", "ja", who=f"<@{SATO}>")]
    assert world.litellm.users[EMAIL]["metadata"] == {"scim_active": False}


# The sentences.


def test_both_languages_have_the_same_sentences_with_the_same_values() -> None:
    assert TEXTS["en"].keys() == TEXTS["ja"].keys()

    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for key, english in TEXTS["en"].items():
        assert names(english) == names(TEXTS["ja"][key]), key


@pytest.mark.parametrize(("locale", "language"), [("ja-JP", "ja"), ("en-US", "en"), ("fr-FR", "en"), ("", "en")])
def test_the_language_is_the_locales(locale: str, language: str) -> None:
    assert Person(id=SATO, email="", locale=locale).language == language


# The mail.

MESSAGE_KEYS = {"FromEmailAddress", "Destination", "Content", "ReplyToAddresses", "ConfigurationSetName"}
READER = Person(id=SATO, email=EMAIL, locale="ja-JP", utc_offset=32400)
UNTIL = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client("sesv2", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    monkeypatch.setattr(invitation, "ses", lambda: client)
    with Stubber(client) as stubber:
        yield stubber


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_mail_carries_the_link_and_no_key(ses: Stubber, language: str) -> None:
    sent: dict[str, Any] = {}
    ses.client.meta.events.register("provide-client-params.sesv2.*", lambda params, **_: sent.update(params))
    ses.add_response("send_email", {"MessageId": "1"}, dict.fromkeys(MESSAGE_KEYS, ANY))
    reader = dataclasses.replace(READER, locale=f"{language}-XX")
    invitation.send(PLACES, reader, 'a"b<c', UNTIL)
    ses.assert_no_pending_responses()
    assert sent["FromEmailAddress"] == "LLM gateway <llm@example.com>"
    assert sent["Destination"] == {"ToAddresses": [EMAIL]}
    assert (sent["ReplyToAddresses"], sent["ConfigurationSetName"]) == (["help@example.com"], "set")
    simple = sent["Content"]["Simple"]
    text, html = simple["Body"]["Text"]["Data"], simple["Body"]["Html"]["Data"]
    assert simple["Subject"]["Data"] == TEXTS[language]["mail_subject"]
    for body in (text, html):
        assert "https://llm.example.com/ui/onboarding/?invitation_id=a%22b%3Cc" in body
        assert "2026-12-01 12:00 (UTC+09:00)" in body
        assert "sk-" not in body


def test_a_mail_without_reply_address_or_configuration_set(ses: Stubber) -> None:
    ses.add_response(
        "send_email", {"MessageId": "1"}, dict.fromkeys({"FromEmailAddress", "Destination", "Content"}, ANY)
    )
    places = dataclasses.replace(PLACES, mail_reply_to="", mail_configuration_set="")
    invitation.send(places, READER, "id", UNTIL)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("MessageRejected", 400, MailRefusedError),
        ("MailFromDomainNotVerifiedException", 400, MailRefusedError),
        ("AccountSuspendedException", 400, MailRefusedError),
        ("NotFoundException", 404, MailRefusedError),
        ("AccessDeniedException", 403, MailRefusedError),
        ("TooManyRequestsException", 429, UnavailableError),
        ("LimitExceededException", 400, UnavailableError),
        ("SendingPausedException", 400, UnavailableError),
        ("InternalFailure", 500, UnavailableError),
    ],
)
def test_what_ses_says(ses: Stubber, code: str, status: int, kind: type[Exception]) -> None:
    ses.add_client_error("send_email", code, f"Address {EMAIL} is not verified", http_status_code=status)
    with pytest.raises(kind, match=code) as raised:
        invitation.send(PLACES, READER, "id", UNTIL)
    assert EMAIL not in str(raised.value)


def test_ses_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    invitation.ses.cache_clear()
    assert vars(invitation.ses().meta.config)["_user_provided_options"]["retries"]["total_max_attempts"] == 1
    invitation.ses.cache_clear()


# LiteLLM over HTTP.


@contextmanager
def server(*answers: tuple[int, bytes]) -> Iterator[tuple[str, list[str], list[str]]]:
    """An HTTP server with these answers, the last one again and again; gives its URL, the requests and their keys."""
    seen: list[str] = []
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            seen.append(f"{self.command} {self.path}")
            keys.append(self.headers["authorization"])
            status, body = answers[min(len(seen), len(answers)) - 1]
            if status == 0:  # the connection breaks before any answer
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.send_header("retry-after", "3600")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}/", seen, keys
        finally:
            httpd.shutdown()
            thread.join()


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "secret", lambda _name: "sk-the-key")
    monkeypatch.setattr("urllib3.util.retry.Retry.sleep", lambda *_: None)


FOUND = b'{"user_info": {"user_id": "a@b"}, "keys": null}'


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("status", [0, 429, 502, 503, 504])
def test_a_short_failure_is_tried_again_at_once(status: int) -> None:
    with server((status, b""), (status, b""), (200, FOUND)) as (url, seen, keys):
        assert LiteLlm(url).user("a@b") == {"user_id": "a@b", "keys": []}
    assert seen == ["GET /user/info?user_id=a%40b"] * 3
    assert set(keys) == {"Bearer sk-the-key"}


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("status", [0, 500, 502, 503, 429])
def test_a_longer_one_is_for_later(status: int) -> None:
    with server((status, b"")) as (url, _, _), pytest.raises(UnavailableError, match="GET /user/info"):
        LiteLlm(url).user("a@b")


@pytest.mark.usefixtures("key")
def test_nobody_there_is_for_later() -> None:
    with server((200, b"")) as (url, _, _):
        pass
    with pytest.raises(UnavailableError, match="GET /user/info"):
        LiteLlm(url).user("a@b")


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("status", [0, 502, 503])
def test_an_invitation_is_not_made_twice(status: int) -> None:
    with server((status, b""), (200, b"{}")) as (url, seen, _), pytest.raises(UnavailableError):
        LiteLlm(url).new_invitation("a@b")
    assert seen == ["POST /invitation/new"]


@pytest.mark.usefixtures("key")
def test_no_json_is_for_later() -> None:
    with server((200, b"<html>")) as (url, _, _), pytest.raises(UnavailableError, match="no JSON"):
        LiteLlm(url).user("a@b")


def test_a_rotated_key_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter(["sk-old", "sk-new", "sk-new"])
    cleared: list[bool] = []
    monkeypatch.setattr(environment, "secret", lambda _name: next(values))
    monkeypatch.setattr("onboarding.litellm.parameters.clear_caches", lambda: cleared.append(True))
    with server((401, b"{}"), (200, FOUND)) as (url, _, keys):
        assert LiteLlm(url).user("a@b")
    assert (keys, cleared) == (["Bearer sk-old", "Bearer sk-new"], [True])


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"error": {"message": "no sk-abc for a@b.com", "type": "t"}}', "no [secret] for [address]"),
        (b'{"detail": "Virtual key is not allowed"}', "Virtual key is not allowed"),
        (b'{"detail": {"error": "No such thing"}}', "No such thing"),
        (b'{"detail": [{"msg": "Field required", "input": {"purpose": "secret"}}]}', "Field required"),
        (b"[1]", ""),
    ],
)
def test_a_refusal_is_one_sentence_without_secrets(body: bytes, sentence: str) -> None:
    with server((403, body)) as (url, _, _), pytest.raises(RefusedError) as raised:
        LiteLlm(url).update_user("a@b.com", metadata={})
    assert str(raised.value) == f"LiteLLM refused POST /user/update (403): {sentence}"


def test_a_log_gets_no_secret() -> None:
    said = harmless("key sk-1234 and SK-5 and xoxb-12-ab of a.b+c@example.co.jp " + "x" * 400)
    assert said.startswith("key [secret] and [secret] and [secret] of [address] x")
    assert len(said) == 300


# Slack.


IN_ORGANISATION = dataclasses.replace(SETTINGS, workspace="E0000000001")


def test_an_organisations_workspaces_are_each_listed() -> None:
    slack = FakeSlack(Outside(), organisation={"T1": [], "T2": []})
    slack.add(*(member(f"U{n:09}", None) for n in range(3)))
    assert len(list(People(slack, IN_ORGANISATION).everyone())) == 6


@pytest.mark.parametrize("home", ["T1", "T2"])
def test_an_organisations_approvers_are_found_in_whichever_workspace_their_group_is(home: str) -> None:
    slack = FakeSlack(Outside(), organisation={"T1": ["S0OTHERS"], "T2": [str(SETTINGS.approver_group)], "T3": []})
    slack.approvers = [SATO]
    people = People(slack, IN_ORGANISATION)
    inside = Person(id=SATO, email=EMAIL, team=home, enterprise="E0000000001")
    assert people.may_approve(inside)
    assert not people.may_approve(dataclasses.replace(inside, id="U0000CLARK"))


@pytest.mark.parametrize(
    ("teams", "refusal", "sentence"),
    [
        ({"T1": []}, "", "Slack refused usergroups.users.list of S0000000001: no_such_subteam"),
        (
            {"T1": []},
            "missing_scope",
            "Slack refused usergroups.users.list of S0000000001: missing_scope: give the app the scope",
        ),
        ({}, "", "Slack has added the app to no workspace of the organization: its owner does that"),
    ],
)
def test_an_organisations_group_that_is_not_found(teams: dict[str, list[str]], refusal: str, sentence: str) -> None:
    slack = FakeSlack(Outside(), organisation=teams)
    slack.refusals |= {"usergroups.users.list": refusal} if refusal else {}
    with pytest.raises(RefusedError, match=f"^{sentence}"):
        People(slack, IN_ORGANISATION).may_approve(Person(id=SATO, email=EMAIL))


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("ratelimited", UnavailableError),
        ("internal_error", UnavailableError),
        ("invalid_auth", UnavailableError),  # until somebody has stored another token
        ("missing_scope", RefusedError),
    ],
)
def test_what_slack_says(reason: str, kind: type[Exception]) -> None:
    slack = FakeSlack(Outside())
    slack.refusals["users.info"] = reason
    with pytest.raises(kind, match=reason):
        People(slack, SETTINGS).person(SATO)


def test_rate_limits_are_waited_out_and_nothing_else_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "secret", lambda _name: "xoxb-not-a-real-token")
    (handler,) = people.client(waits=7).retry_handlers
    assert (type(handler).__name__, handler.max_retry_count) == ("RateLimitErrorRetryHandler", 7)
