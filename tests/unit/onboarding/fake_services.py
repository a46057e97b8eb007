"""LiteLLM, Slack, SES and the table of what has been done, in memory: with the same state, answers and refusals.

Every outgoing call goes through `Outside.call`, where a test can let it fail before or after it was done.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyItemAlreadyExistsError,
    IdempotencyItemNotFoundError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.base import BasePersistenceLayer
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord
from onboarding import environment, sweep, worker
from onboarding.accounts import Accounts
from onboarding.answers import Answers
from onboarding.environment import Places, Settings
from onboarding.errors import UnavailableError
from onboarding.litellm import LiteLlm
from onboarding.once import Once
from onboarding.people import People, Person
from onboarding.requests import Create, Request, to_json
from onboarding.texts import say
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse
from urllib3.exceptions import ProtocolError

SETTINGS = Settings(
    command="/llm-account",
    workspace="T0000000001",
    audit_channel="C0000000AUD",
    approver_group="S0000000001",
    mail_domains=("example.com", "example.co.jp"),
    teams=("platform", "research"),
    max_budget=100,
    budget_ceiling=1000,
    budget_duration="30d",
    models=("small",),
    tpm_limit=1000,
    rpm_limit=None,
    protected=("ci@example.com",),
    dry_run=False,
    close_limit=3,
)
PLACES = Places(
    queue_url="https://queue",
    table_name="table",
    litellm_url="http://litellm:4000",
    gateway_url="https://llm.example.com",
    mail_sender="llm@example.com",
    mail_reply_to="help@example.com",
    mail_configuration_set="set",
)
START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


class CrashError(BaseException):
    """The function died here: no `except Exception` sees it."""


@dataclass
class Outside:
    """What every fake shares: the calls that were made, the clock, and the faults that a test wants."""

    now: datetime = START
    calls: list[str] = field(default_factory=list)
    fault: Callable[[str, int], str | None] = lambda _name, _number: None

    def call(self, name: str, work: Callable[[], Any], failure: Callable[[], Exception]) -> Any:  # noqa: ANN401
        """Do a call. The fault for it says `before` (not done) or `after` (done, but its answer is lost)."""
        self.calls.append(name)
        fault = self.fault(name, len(self.calls) - 1)
        if fault == "crash":
            raise CrashError(name)
        if fault == "before":
            raise failure()
        result = work()
        if fault == "crash after":
            raise CrashError(name)
        if fault == "after":
            raise failure()
        return result


class Response:
    """What is used of urllib3's response."""

    def __init__(self, status: int, body: object) -> None:
        self.status, self._body = status, body

    def json(self) -> Any:  # noqa: ANN401
        return json.loads(json.dumps(self._body))


def error(status: int, message: str, kind: str = "internal_server_error") -> Response:
    return Response(status, {"error": {"message": message, "type": kind, "code": str(status)}})


class FakeLiteLlm:
    """The management API, as urllib3's `request`. The shapes are those seen of LiteLLM 1.106.12."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.users: dict[str, dict[str, Any]] = {}
        self.teams: dict[str, list[str]] = {}
        self.invitations: dict[str, dict[str, Any]] = {}
        self.refusals: dict[str, Response] = {}

    def add(self, email: str, *, user_id: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401
        user = {
            "user_id": user_id or email,
            "user_email": email,
            "max_budget": 100.0,
            "metadata": {},
            "keys": [],
            **more,
        }
        self.users[user["user_id"]] = user
        return user

    def request(self, method: str, url: str, **how: Any) -> Response:  # noqa: ANN401
        route = url.removeprefix(PLACES.litellm_url)
        assert how["redirect"] is False
        answer: Response = self.outside.call(
            f"{method} {route}",
            lambda: self.refusals.get(route) or self._answer(method, route, how),
            lambda: ProtocolError("Connection aborted."),
        )
        return answer

    def _answer(self, method: str, route: str, how: dict[str, Any]) -> Response:
        if method == "GET":
            return getattr(self, "_get" + route.replace("/", "_"))(how["fields"])  # type: ignore[no-any-return, unused-ignore]
        return getattr(self, "_post" + route.replace("/", "_"))(json.loads(json.dumps(how["json"])))  # type: ignore[no-any-return, unused-ignore]

    def _get_user_info(self, query: dict[str, str]) -> Response:
        user = self.users.get(query["user_id"])
        if user is None:
            return error(404, f"User {query['user_id']} not found")
        info = {name: value for name, value in user.items() if name != "keys"}
        return Response(200, {"user_id": user["user_id"], "user_info": info, "keys": user["keys"]})

    def _get_user_list(self, query: dict[str, str]) -> Response:
        found = [user for user in self.users.values() if query["user_email"] in user["user_email"].lower()]
        page, size = int(query["page"]), int(query["page_size"])
        assert size <= 100
        pages = -(-len(found) // size)
        return Response(200, {"users": found[(page - 1) * size : page * size], "total_pages": pages})

    def _post_user_new(self, body: dict[str, Any]) -> Response:
        assert body.pop("auto_create_key") is False
        assert body.pop("send_invite_email") is False
        if any(user["user_email"].lower() == body["user_email"].lower() for user in self.users.values()):
            return error(409, f"{{'error': 'User with email {body['user_email']} already exists'}}")
        self.users[body["user_id"]] = {**body, "keys": []}
        return Response(200, {"user_id": body["user_id"]})

    def _post_user_update(self, body: dict[str, Any]) -> Response:
        self.users[body["user_id"]].update(body)
        return Response(200, {})

    def _post_user_delete(self, body: dict[str, Any]) -> Response:
        (user_id,) = body["user_ids"]
        if self.users.pop(user_id, None) is None:
            return Response(404, {"detail": {"error": f"User not found, passed user_id={user_id}"}})
        for members in self.teams.values():
            members[:] = [member for member in members if member != user_id]
        self.invitations = {id_: one for id_, one in self.invitations.items() if one["user_id"] != user_id}
        return Response(200, 1)

    def _get_team_info(self, query: dict[str, str]) -> Response:
        if query["team_id"] not in self.teams:
            return error(404, "Team not found", "auth_error")
        return Response(200, {"team_id": query["team_id"]})

    def _post_team_new(self, body: dict[str, Any]) -> Response:
        if body["team_id"] in self.teams:
            return error(400, f"{{'error': 'Team id = {body['team_id']} already exists.'}}")
        self.teams[body["team_id"]] = []
        return Response(200, {})

    def _post_team_member_add(self, body: dict[str, Any]) -> Response:
        user_id = body["member"]["user_id"]
        if user_id in self.teams[body["team_id"]]:
            return error(400, f"User already in team. Member: user_id={user_id}", "team_member_already_in_team")
        self.teams[body["team_id"]].append(user_id)
        return Response(200, {})

    def _post_invitation_new(self, body: dict[str, Any]) -> Response:
        id_ = f"invitation-{len(self.invitations) + 1}"
        expires = (self.outside.now + timedelta(days=7)).isoformat().replace("+00:00", "Z")
        made = {"id": id_, "user_id": body["user_id"], "is_accepted": False, "expires_at": expires}
        self.invitations[id_] = made
        return Response(200, made)

    def _get_invitation_info(self, query: dict[str, str]) -> Response:
        found = self.invitations.get(query["invitation_id"])
        missing = Response(400, {"detail": {"error": "Invitation id does not exist in the database."}})
        return Response(200, found) if found else missing

    def _post_key_block(self, body: dict[str, Any]) -> Response:
        for user in self.users.values():
            for key in user["keys"]:
                key["blocked"] = key["blocked"] or key["token"] == body["key"]
        return Response(200, {})


def member(id_: str, email: str | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Slack's user object."""
    profile = {} if email is None else {"email": email}
    active = {"is_restricted": False, "is_ultra_restricted": False, "is_email_confirmed": True, "tz_offset": 32400}
    basic = {"id": id_, "team_id": SETTINGS.workspace, "deleted": False, "is_bot": False, "profile": profile}
    return {**basic, **active, "locale": "ja-JP", **more}


class FakeSlack(WebClient):
    """Slack's Web API with a directory, a group of approvers, and everything that it was told.

    `organisation` are the workspaces of one that the app is installed for, each with its groups: its token has to name
    one of them wherever Slack's documentation says so.
    """

    def __init__(self, outside: Outside, organisation: dict[str, list[str]] | None = None) -> None:
        super().__init__(token="xoxb-not-a-real-token")
        self.outside, self.organisation = outside, organisation
        self.members: dict[str, dict[str, Any]] = {}
        self.approvers: list[str] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.refusals: dict[str, str] = {}

    def add(self, *members: dict[str, Any]) -> None:
        self.members.update({one["id"]: one for one in members})

    def said(self, method: str = "chat.postMessage", **to: str) -> list[dict[str, Any]]:
        return [told for name, told in self.told if name == method and all(told.get(key) == to[key] for key in to)]

    def api_call(self, api_method: str, **how: Any) -> SlackResponse:  # noqa: ANN401
        arguments = how.get("json") or how.get("params") or {}
        result: SlackResponse = self.outside.call(
            api_method, lambda: self._respond(api_method, arguments), lambda: TimeoutError("timed out")
        )
        return result

    def _respond(self, method: str, arguments: dict[str, Any]) -> SlackResponse:
        data = self._data(method, arguments)
        response = SlackResponse(
            client=self, http_verb="POST", api_url=method, req_args={}, data=data, headers={}, status_code=200
        )
        if not data["ok"]:
            raise SlackApiError("no", response)  # type: ignore[no-untyped-call]
        return response

    def _data(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if method in self.refusals:
            return {"ok": False, "error": self.refusals[method]}
        team = arguments.get("team_id")
        if method == "auth.teams.list":  # in pages of one
            start, teams = int(arguments.get("cursor") or 0), list(self.organisation or {})
            more = str(start + 1) if start + 1 < len(teams) else ""
            page = [{"id": one} for one in teams[start : start + 1]]
            return {"ok": True, "teams": page, "response_metadata": {"next_cursor": more}}
        if self.organisation is not None and method in ("users.list", "usergroups.users.list"):
            if team not in self.organisation:
                return {"ok": False, "error": "team_access_not_granted" if team else "missing_argument"}
            if "usergroup" in arguments and arguments["usergroup"] not in self.organisation[team]:
                return {"ok": False, "error": "no_such_subteam"}
        if method == "users.info":
            user = self.members.get(arguments["user"])
            return {"ok": True, "user": user} if user else {"ok": False, "error": "user_not_found"}
        if method == "users.list":
            everyone, start = list(self.members.values()), int(arguments["cursor"] or 0)
            end = start + arguments["limit"]
            more = str(end) if end < len(everyone) else ""
            return {"ok": True, "members": everyone[start:end], "response_metadata": {"next_cursor": more}}
        if method == "usergroups.users.list":
            return {"ok": True, "users": self.approvers}
        self.told.append((method, arguments))
        return {"ok": True, "ts": f"{len(self.told)}.0001"}


class FakeMail:
    """Sends invitations, in place of `invitation.send`."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.sent: list[tuple[str, str]] = []
        self.failure: Exception | None = None

    def __call__(self, places: Places, person: Person, invitation_id: str, expires_at: datetime) -> None:
        def send() -> None:
            if self.failure:
                raise self.failure
            self.sent.append((person.email, invitation_id))

        self.outside.call("SendEmail", send, lambda: UnavailableError("SES did not answer"))


class Table(BasePersistenceLayer):
    """Powertools' records in a dict, with DynamoDB's conditions."""

    def __init__(self, outside: Outside) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.outside = outside
        self.rows: dict[str, DataRecord] = {}

    def _get_record(self, idempotency_key: str) -> DataRecord:
        if idempotency_key not in self.rows:
            raise IdempotencyItemNotFoundError
        return self.rows[idempotency_key]

    def _put_record(self, data_record: DataRecord) -> None:
        there = self.rows.get(data_record.idempotency_key)
        now = datetime.now(UTC).timestamp()
        if there and not (
            there.is_expired
            or (there.status == "INPROGRESS" and (there.in_progress_expiry_timestamp or 0) < now * 1000)
        ):
            raise IdempotencyItemAlreadyExistsError(old_data_record=there)
        self.rows[data_record.idempotency_key] = data_record

    def _update_record(self, data_record: DataRecord) -> None:
        self.rows[data_record.idempotency_key] = data_record

    def _delete_record(self, data_record: DataRecord) -> None:
        self.rows.pop(data_record.idempotency_key, None)


class Context:
    """What is used of Lambda's context; with no time left, what it leaves in progress is free at once."""

    function_name = "worker"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:ap-northeast-1:111111111111:function:worker"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return -1000


class Queue:
    """The queue's client: how long each failed message waits."""

    def __init__(self) -> None:
        self.waits: list[int] = []

    def change_message_visibility(self, **how: Any) -> None:  # noqa: ANN401
        assert (how["QueueUrl"], how["ReceiptHandle"]) == (PLACES.queue_url, "receipt")
        self.waits.append(how["VisibilityTimeout"])


class World:
    """The functions with all that is around them: people who may have an account, approvers, and nobody's account."""

    ATTEMPTS = 10

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rules: Settings = SETTINGS) -> None:
        self.rules = rules
        self.outside = Outside()
        self.litellm, self.slack = FakeLiteLlm(self.outside), FakeSlack(self.outside)
        self.mail, self.table, self.queue = FakeMail(self.outside), Table(self.outside), Queue()
        self.slack.add(
            member("U000000SATO", "Sato@Example.com"),
            member("U0000CLARK", "clark@example.co.jp", locale="en-GB", tz_offset=0),
            member("U000000BOSS", "boss@example.com"),
            member("U0000CHIEF", "chief@example.com", locale="en-US"),
        )
        self.slack.approvers = ["U000000BOSS", "U0000CHIEF", "U000000SATO"]
        monkeypatch.setenv("MAX_ATTEMPTS", str(self.ATTEMPTS))
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "onboarding")
        monkeypatch.setattr(environment, "secret", lambda name: f"the value of {name}")
        monkeypatch.setattr(worker, "sqs", lambda: self.queue)
        for module in (worker, sweep):
            monkeypatch.setattr(module, "store", lambda: self.table)
            monkeypatch.setattr(module, "settings", lambda: self.rules)
        monkeypatch.setattr(worker, "places", lambda: PLACES)
        monkeypatch.setattr(worker.Parts, "of", self.parts)

    def parts(self, once: Once, *, waits: int = 1) -> worker.Parts:  # as many as Parts.of has
        return worker.Parts(
            people=People(self.slack, self.rules),
            accounts=Accounts(
                litellm=LiteLlm(PLACES.litellm_url, self.litellm),  # type: ignore[arg-type]
                settings=self.rules,
                places=PLACES,
                once=once,
                send=self.mail,
                now=lambda: self.outside.now,
            ),
            answers=Answers(slack=self.slack, settings=self.rules, places=PLACES, once=once),
        )

    def attempt(self, body: str, number: int = 1) -> bool:
        """Let the function have the message once; tell whether it is out of the queue."""
        record = {
            "messageId": "message",
            "receiptHandle": "receipt",
            "body": body,
            "attributes": {"ApproximateReceiveCount": str(number)},
        }
        try:
            answer = worker.handler({"Records": [record]}, Context())  # type: ignore[arg-type]
        except CrashError:
            return False
        assert answer["batchItemFailures"] in ([], [{"itemIdentifier": "message"}])
        return not answer["batchItemFailures"]

    def run(self, request: Request) -> int:
        """Work on a request until it is done; return in which attempt, or 0 if it went to the dead-letter queue."""
        return next((n for n in range(1, self.ATTEMPTS + 1) if self.attempt(to_json(request), n)), 0)

    def answers(self) -> list[str]:
        """Return what the requesters were told, but for that the request is kept."""
        kept = {say("kept", language) for language in ("ja", "en")}
        told = [one for one in self.slack.said() if one["channel"] != self.rules.audit_channel]
        return [one["text"] for one in told if one["text"] not in kept]

    def lines(self) -> list[str]:
        """Return the audit channel's lines."""
        return [one["text"] for one in self.slack.said(channel=self.rules.audit_channel) if "blocks" not in one]


def create(id_: str = "Fx1", **more: Any) -> Create:  # noqa: ANN401
    values: dict[str, Any] = {"who": "U000000SATO", "requester": "U000000SATO", "team": "platform"}
    return Create(id=id_, **{**values, "purpose": "a secret plan", **more})
