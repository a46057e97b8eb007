"""The simulated Slack: its Web API called with Slack's own SDK, its requests checked with the SDK's verifier."""

import dataclasses
import json
import re
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.webhook import WebhookClient

from local.outside.credentials import Credentials
from local.outside.records import Fault
from local.outside.slack import FORM, SlackWorkspace, step_definition
from local.outside.slack_blocks import problems
from local.outside.slack_workspace import BOT_USER, GENERAL, ORGANISATION_TEAM, SCOPES, ExampleWorkspace
from local.outside.world import OutsideWorld
from ops import slack_manifest
from stacks.company import environments

TEXT = {"type": "plain_text", "text": "Text"}
MODAL: dict[str, Any] = {
    "type": "modal",
    "callback_id": "request_account",
    "title": TEXT,
    "submit": TEXT,
    "blocks": [
        {
            "type": "input",
            "block_id": "who",
            "label": TEXT,
            "element": {"type": "users_select", "action_id": "who"},
        },
        {
            "type": "input",
            "block_id": "team",
            "label": TEXT,
            "element": {
                "type": "static_select",
                "action_id": "team",
                "options": [{"text": TEXT, "value": "platform"}, {"text": TEXT, "value": "product"}],
            },
        },
        {
            "type": "input",
            "block_id": "purpose",
            "label": TEXT,
            "element": {"type": "plain_text_input", "action_id": "purpose", "max_length": 20},
        },
        {
            "type": "input",
            "block_id": "max_budget",
            "optional": True,
            "label": TEXT,
            "element": {
                "type": "number_input",
                "action_id": "max_budget",
                "is_decimal_allowed": False,
                "min_value": "1",
            },
        },
    ],
}
BUTTONS = [
    {
        "type": "actions",
        "block_id": "decision",
        "elements": [{"type": "button", "action_id": "approve_account", "text": TEXT, "value": "request"}],
    }
]


class App:
    """A tiny app at a request URL: keeps what it got, and whether its signature is right; answers as it is told."""

    def __init__(self, signing_secret: str) -> None:
        verifier, app = SignatureVerifier(signing_secret), self
        self.requests: list[tuple[dict[str, str], str]] = []
        self.answer: tuple[int, str, str] = (200, "application/json", "")
        self.headers: dict[str, str] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                app.requests.append((headers, body.decode()))
                valid = verifier.is_valid_request(body, headers)
                status, kind, text = app.answer if valid else (401, "text/plain", "not Slack")
                self.send_response(status)
                for name, value in {"content-type": kind, **app.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/slack/events"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def event(self) -> Any:  # noqa: ANN401  # JSON
        return json.loads(self.requests[-1][1])

    @property
    def payload(self) -> Any:  # noqa: ANN401  # JSON
        return json.loads(parse_qs(self.requests[-1][1])["payload"][0])


@pytest.fixture
def world(tmp_path: Path, credentials: Credentials) -> Iterator[OutsideWorld]:
    with OutsideWorld(tmp_path, credentials=credentials) as world:
        yield world


@pytest.fixture
def slack(world: OutsideWorld) -> SlackWorkspace:
    return world.slack_workspace


@pytest.fixture
def app(world: OutsideWorld) -> Iterator[App]:
    app = App(world.credentials.slack_signing_secret)
    world.slack_workspace.request_url = app.url
    yield app
    app.server.shutdown()
    app.server.server_close()


def web(world: OutsideWorld, token: str | None = None) -> WebClient:
    context = ssl.create_default_context(cafile=str(world.ca_file))
    client = WebClient(token or world.credentials.slack_bot_token, proxy=world.proxy_url, ssl=context)
    client.retry_handlers.clear()
    return client


def refused(error: pytest.ExceptionInfo[SlackApiError]) -> str:
    return str(error.value.response["error"])


class TestWebApi:
    def test_auth_test(self, world: OutsideWorld) -> None:
        answer = web(world).auth_test()
        assert (answer["team_id"], answer["user_id"]) == ("T0123456789", BOT_USER)
        assert world.calls()[-1].operation == "auth.test"

    @pytest.mark.parametrize(("token", "error"), [("xoxb-wrong", "invalid_auth"), ("", "not_authed")])
    def test_a_wrong_token(self, world: OutsideWorld, token: str, error: str) -> None:
        context = ssl.create_default_context(cafile=str(world.ca_file))
        with httpx.Client(proxy=world.proxy_url, verify=context, trust_env=False) as http:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            answer = http.post("https://slack.com/api/auth.test", headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"ok": False, "error": error})

    def test_unknown_methods_bad_json_and_other_paths(self, world: OutsideWorld) -> None:
        context = ssl.create_default_context(cafile=str(world.ca_file))
        headers = {"authorization": f"Bearer {world.credentials.slack_bot_token}"}
        with httpx.Client(proxy=world.proxy_url, verify=context, trust_env=False, headers=headers) as http:
            base = "https://slack.com/api"
            unknown = http.post(f"{base}/chat.nothing").json()
            assert unknown == {"ok": False, "error": "unknown_method", "req_method": "chat.nothing"}
            bad = http.post(f"{base}/chat.postMessage", content="{", headers={"content-type": "application/json"})
            assert bad.json()["error"] == "invalid_json"
            assert http.post(f"{base}/chat.postMessage", json=[]).json()["error"] == "json_not_object"
            odd = http.post(f"{base}/chat.postMessage", content="x", headers={"content-type": "text/plain"})
            assert odd.json()["error"] == "invalid_post_type"
            wrong = http.post(f"{base}/chat.postMessage", json={"channel": "C0123456789", "blocks": 7}).json()
            assert wrong["error"] == "invalid_arguments"
            assert http.get("https://slack.com/help").status_code == 404

    def test_users_info(self, world: OutsideWorld, slack: SlackWorkspace) -> None:
        person = slack.person("japanese")
        user = web(world).users_info(user=person.id, include_locale=True)["user"]
        assert (user["profile"]["email"], user["locale"], user["team_id"]) == (person.email, "ja-JP", slack.team)
        assert "locale" not in web(world).users_info(user=person.id)["user"]
        for unknown in ("U0NOBODY000", "japanese"):
            with pytest.raises(SlackApiError) as error:
                web(world).users_info(user=unknown)
            assert refused(error) == "user_not_found"

    @pytest.mark.parametrize(
        ("role", "member", "value"),
        [
            ("single_channel_guest", "is_ultra_restricted", True),
            ("single_channel_guest", "is_restricted", True),
            ("multi_channel_guest", "is_restricted", True),
            ("multi_channel_guest", "is_ultra_restricted", False),
            ("bot", "is_bot", True),
            ("stranger", "is_stranger", True),
            ("unconfirmed", "is_email_confirmed", False),
            ("deactivated", "deleted", True),
            ("english", "deleted", False),
        ],
    )
    def test_people(self, world: OutsideWorld, slack: SlackWorkspace, role: str, member: str, value: object) -> None:
        user = web(world).users_info(user=slack.person(role).id)["user"]
        assert user[member] is value

    def test_a_foreign_address_a_stranger_and_a_deactivated_one(self, world: OutsideWorld) -> None:
        slack, client = world.slack_workspace, web(world)
        foreign = client.users_info(user=slack.person("foreign_mail").id)["user"]
        assert not foreign["profile"]["email"].endswith("@example.com")
        assert client.users_info(user=slack.person("stranger").id)["user"]["team_id"] != slack.team
        assert "is_restricted" not in client.users_info(user=slack.person("deactivated").id)["user"]

    def test_users_list_in_pages(self, world: OutsideWorld, slack: SlackWorkspace) -> None:
        added = [slack.add_person(f"extra{number}", locale="en-US") for number in range(4)]
        pages = [page["members"] for page in web(world).users_list(limit=4, include_locale=True)]
        ids = [user["id"] for page in pages for user in page]
        assert [len(page) for page in pages] == [4, 4, 4, 4]
        assert ids == [person.id for person in slack.people()]
        assert ids[-1] == added[-1].id
        with pytest.raises(SlackApiError) as error:
            web(world).users_list(cursor="bm9ib2R5")
        assert refused(error) == "invalid_cursor"

    def test_who_signs_in_by_single_sign_on_has_no_confirmed_address(self, world: OutsideWorld) -> None:
        person = world.slack_workspace.person("single_sign_on")
        assert "is_email_confirmed" not in web(world).users_info(user=person.id)["user"]

    def test_an_organisations_token_has_to_name_the_workspace(self, tmp_path: Path) -> None:
        settings = ExampleWorkspace(workspace="E0123456789")
        with OutsideWorld(tmp_path, slack_workspace=settings) as world:
            slack, client = world.slack_workspace, web(world)
            approver = slack.person("approver").id
            assert client.auth_test()["is_enterprise_install"]
            teams = [team["id"] for page in client.auth_teams_list() for team in page["teams"]]
            assert tuple(teams) == slack.teams == ("T0123456789", ORGANISATION_TEAM)
            members = [[user["id"] for user in client.users_list(team_id=team)["members"]] for team in teams]
            assert (len(members[0]), members[1]) == (len(slack.people()), [approver])
            group: dict[str, Any] = {"usergroup": "S0123456789"}
            assert client.usergroups_users_list(**group, team_id=teams[1])["users"] == [approver]
            for call, arguments, code in (
                (client.users_list, {}, "missing_argument"),
                (client.users_list, {"team_id": "T0NOWHERE00"}, "team_access_not_granted"),
                (client.usergroups_users_list, group, "missing_argument"),
                (client.usergroups_users_list, {**group, "team_id": "T0NOWHERE00"}, "team_access_not_granted"),
                (client.usergroups_users_list, {**group, "team_id": teams[0]}, "no_such_subteam"),
            ):
                with pytest.raises(SlackApiError) as error:
                    call(**arguments)
                assert refused(error) == code

    def test_a_workspaces_token_names_none(self, world: OutsideWorld, slack: SlackWorkspace) -> None:
        client = web(world)
        assert [page["teams"][0]["id"] for page in client.auth_teams_list()] == [slack.team]
        assert len(client.users_list(team_id="T0NOWHERE00")["members"]) == len(slack.people())

    def test_the_approvers(self, world: OutsideWorld, slack: SlackWorkspace) -> None:
        users = web(world).usergroups_users_list(usergroup="S0123456789")["users"]
        assert users == [slack.person("approver").id]
        slack.change_person("approver", deleted=True)
        assert web(world).usergroups_users_list(usergroup="S0123456789")["users"] == []
        with pytest.raises(SlackApiError) as error:
            web(world).usergroups_users_list(usergroup="S0OTHER0000")
        assert refused(error) == "no_such_subteam"

    def test_scopes(self, world: OutsideWorld, slack: SlackWorkspace) -> None:
        slack.scopes.remove("users:read.email")
        assert "email" not in web(world).users_info(user=slack.person("english").id)["user"]["profile"]
        slack.scopes.remove("users:read")
        with pytest.raises(SlackApiError) as error:
            web(world).users_list()
        assert (refused(error), error.value.response["needed"]) == ("missing_scope", "users:read")

    def test_messages_to_a_channel_and_to_a_person(self, world: OutsideWorld, slack: SlackWorkspace) -> None:
        client, user = web(world), slack.person("japanese").id
        answer = client.chat_postMessage(channel="C0123456789", text="for the audit", blocks=BUTTONS)
        direct = client.chat_postMessage(channel=user, text="こんにちは")
        assert [message.text for message in slack.audit()] == ["for the audit"]
        assert [message.text for message in slack.dms("japanese")] == ["こんにちは"]
        assert direct["channel"].startswith("D")
        assert answer["message"]["blocks"] == BUTTONS
        client.chat_update(channel=direct["channel"], ts=direct["ts"], text="さようなら")
        assert [(message.text, message.edited) for message in slack.dms(user)] == [("さようなら", True)]
        assert slack.dms("english") == []

    def test_ephemeral_messages(self, world: OutsideWorld, slack: SlackWorkspace) -> None:
        client, user = web(world), slack.person("approver").id
        ts = client.chat_postEphemeral(channel="C0123456789", user=user, text="only you")["message_ts"]
        assert [message.text for message in slack.dms("approver")] == ["only you"]
        with pytest.raises(SlackApiError) as error:
            client.chat_postEphemeral(channel=GENERAL, user=user, text="x")
        assert refused(error) == "not_in_channel"
        with pytest.raises(SlackApiError) as error:
            client.chat_postEphemeral(channel="C0123456789", user=slack.person("english").id, text="x")
        assert refused(error) == "user_not_in_channel"
        with pytest.raises(SlackApiError) as error:
            client.chat_update(channel="C0123456789", ts=ts, text="x")
        assert refused(error) == "message_not_found"

    @pytest.mark.parametrize(
        ("channel", "text", "code"),
        [
            ("C0NOWHERE00", "x", "channel_not_found"),
            (GENERAL, "x", "not_in_channel"),
            ("U0NOBODY000", "x", "user_not_found"),
            ("C0123456789", "", "no_text"),
            ("C0123456789", "x" * 40_001, "msg_too_long"),
        ],
    )
    def test_messages_that_slack_refuses(self, world: OutsideWorld, channel: str, text: str, code: str) -> None:
        with pytest.raises(SlackApiError) as error:
            web(world).api_call("chat.postMessage", json={"channel": channel, "text": text})
        assert refused(error) == code

    @pytest.mark.parametrize(
        ("role", "code"), [("deactivated", "user_disabled"), ("bot", "cannot_dm_bot"), ("stranger", "user_not_visible")]
    )
    def test_people_who_cannot_be_written_to(self, world: OutsideWorld, role: str, code: str) -> None:
        with pytest.raises(SlackApiError) as error:
            web(world).chat_postMessage(channel=world.slack_workspace.person(role).id, text="x")
        assert refused(error) == code

    def test_conversations_open(self, world: OutsideWorld, slack: SlackWorkspace) -> None:
        user = slack.person("english").id
        with pytest.raises(SlackApiError) as error:
            web(world).conversations_open(users=user)
        assert refused(error) == "missing_scope"
        slack.scopes.add("im:write")
        channel = web(world).conversations_open(users=[user], return_im=True)["channel"]
        assert (channel["is_im"], channel["user"]) == (True, user)
        web(world).chat_postMessage(channel=channel["id"], text="hello")
        assert slack.dms("english")[0].channel == channel["id"]

    def test_blocks_beyond_their_limits(self, world: OutsideWorld) -> None:
        long = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]
        with pytest.raises(SlackApiError) as error:
            web(world).chat_postMessage(channel="C0123456789", text="x", blocks=long)
        assert refused(error) == "invalid_blocks"
        assert error.value.response["errors"] == [
            "must be less than 3001 characters [json-pointer:/blocks/0/text]",
        ]

    def test_faults(self, world: OutsideWorld) -> None:
        world.set_fault("slack.com", Fault(status=429, count=1, retry_after_seconds=9))
        with pytest.raises(SlackApiError) as error:
            web(world).auth_test()
        assert (error.value.response.status_code, refused(error)) == (429, "ratelimited")
        assert error.value.response.headers["Retry-After"] == "9"
        assert web(world).auth_test()["ok"]
        assert [call.status for call in world.calls()] == [429, 200]


class TestModals:
    def test_a_trigger_opens_one_modal_while_it_is_fresh(self, world: OutsideWorld, slack: SlackWorkspace) -> None:
        client, user = web(world), slack.person("japanese").id
        trigger = slack.make_trigger(user)
        view = client.views_open(trigger_id=trigger, view=MODAL)["view"]
        assert [opened.id for opened in slack.views("japanese")] == [view["id"]]
        slack.trigger_seconds = -1
        for used, code in (
            (trigger, "exchanged_trigger_id"),
            (slack.make_trigger(user), "expired_trigger_id"),
            ("1.2.x", "invalid_trigger_id"),
        ):
            with pytest.raises(SlackApiError) as error:
                client.views_open(trigger_id=used, view=MODAL)
            assert refused(error) == code

    def test_a_call_before_the_modal_is_one_too_many_for_a_trigger(
        self, world: OutsideWorld, slack: SlackWorkspace
    ) -> None:
        """After a cold start, in the seconds that are counted: no clock is asked."""
        client, user = web(world), slack.person("japanese").id
        late, other = slack.make_trigger(user), slack.make_trigger(slack.person("english").id)
        client.users_info(user=user)
        with pytest.raises(SlackApiError) as error:
            client.views_open(trigger_id=late, view=MODAL)
        assert refused(error) == "expired_trigger_id"
        client.views_open(trigger_id=other, view=MODAL)

    def test_a_modal_is_updated(self, world: OutsideWorld, slack: SlackWorkspace) -> None:
        client = web(world)
        view = client.views_open(trigger_id=slack.make_trigger(slack.person("english").id), view=MODAL)["view"]
        changed = {**MODAL, "title": {"type": "plain_text", "text": "Changed"}}
        client.views_update(view_id=view["id"], view=changed, hash=view["hash"])
        assert slack.views()[0].payload["title"]["text"] == "Changed"
        for arguments, code in (
            ({"view_id": view["id"], "hash": view["hash"]}, "hash_conflict"),
            ({"view_id": "V0NONE00000"}, "not_found"),
        ):
            with pytest.raises(SlackApiError) as error:
                client.views_update(view=changed, **arguments)
            assert refused(error) == code

    def test_what_a_modal_may_not_have(self) -> None:
        long = {"type": "plain_text", "text": "x" * 25}
        assert problems("modal", {**MODAL, "title": long}) == ["must be less than 25 characters [json-pointer:/title]"]
        without = {name: value for name, value in MODAL.items() if name != "submit"}
        assert "submit is required" in problems("modal", without)[0]
        twice = {**MODAL, "blocks": [*MODAL["blocks"], MODAL["blocks"][0]]}
        assert 'duplicate block_id "who"' in problems("modal", twice)[0]
        block = {"type": "nonsense"}
        assert problems("modal", {**MODAL, "blocks": [block]}) == [
            "unsupported type: nonsense [json-pointer:/blocks/0]"
        ]
        empty = {"type": "input", "label": TEXT, "element": {"type": "static_select", "options": []}}
        assert "no less than 1 items" in problems("modal", {**MODAL, "blocks": [empty]})[0]
        assert problems("modal", MODAL) == problems("message", {"blocks": BUTTONS}) == []

    @pytest.mark.parametrize(
        ("bounds", "problem"),
        [
            ({"min_value": "0.01", "max_value": "1000000"}, None),
            ({"min_value": "-10", "initial_value": "5.5", "max_value": "5.5"}, None),
            *(({"max_value": wrong}, "must be a string") for wrong in ("1e+06", 1000, "1,000", "", "٣", "1.", "inf")),
            ({"min_value": "2", "max_value": "1"}, "min_value cannot be greater"),
            ({"initial_value": "3", "max_value": "1"}, "min_value cannot be greater"),
            ({"is_decimal_allowed": False, "min_value": "0.5"}, "decimals are not allowed"),
        ],
    )
    def test_numbers_of_a_modal(self, bounds: dict[str, object], problem: str | None) -> None:
        element = {"type": "number_input", "is_decimal_allowed": True, "action_id": "max_budget", **bounds}
        found = problems("modal", {**MODAL, "blocks": [{"type": "input", "label": TEXT, "element": element}]})
        assert [problem in one for one in found] == [True] if problem else found == []

    def test_a_submission(self, world: OutsideWorld, slack: SlackWorkspace, app: App) -> None:
        trigger = slack.make_trigger(slack.person("english").id)
        view = web(world).views_open(trigger_id=trigger, view=MODAL)["view"]
        values = {"who": "japanese", "team": "platform", "purpose": "to write", "max_budget": 250}
        app.answer = (200, "application/json", json.dumps({"response_action": "errors", "errors": {"team": "full"}}))
        assert slack.submit(view["id"], values).status_code == 200
        assert slack.views()[0].errors == {"team": "full"}
        payload = app.payload
        assert (payload["type"], payload["user"]["id"]) == ("view_submission", slack.person("english").id)
        assert payload["team"]["id"] == slack.team
        state = payload["view"]["state"]["values"]
        assert state["who"]["who"] == {"type": "users_select", "selected_user": slack.person("japanese").id}
        assert state["team"]["team"]["selected_option"]["value"] == "platform"
        assert state["purpose"]["purpose"] == {"type": "plain_text_input", "value": "to write"}
        assert state["max_budget"]["max_budget"] == {"type": "number_input", "value": "250"}
        updated = {"response_action": "update", "view": {**MODAL, "callback_id": "done"}}
        app.answer = (200, "application/json", json.dumps(updated))
        slack.submit(view["id"], values)
        assert slack.views()[0].payload["callback_id"] == "done"
        app.answer = (200, "application/json", "")
        slack.submit(slack.views()[0], values)
        assert slack.views() == []

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"team": "sales"}, "does not offer 'sales'"),
            ({"purpose": ""}, "asks for purpose"),
            ({"purpose": "x" * 21}, "0 to 20 characters"),
            ({"max_budget": 0.5}, "whole numbers"),
            ({"max_budget": 0}, "out of its bounds"),
            ({"max_budget": "1e3"}, "digits and a point"),
            ({"max_budget": "NaN"}, "digits and a point"),
            ({"more": 1}, "no field more"),
        ],
    )
    def test_what_slacks_form_does_not_let_through(
        self, world: OutsideWorld, change: dict[str, object], sentence: str
    ) -> None:
        slack = world.slack_workspace
        web(world).views_open(trigger_id=slack.make_trigger(slack.person("english").id), view=MODAL)
        with pytest.raises(ValueError, match=sentence):
            slack.submit(slack.views()[0], {"who": "english", "team": "platform", "purpose": "x", **change})
        assert slack.deliveries() == []


class TestSlacksSide:
    def test_a_workflow_step_runs_to_its_outputs(self, world: OutsideWorld, slack: SlackWorkspace, app: App) -> None:
        id_ = slack.run_step("japanese", "platform", "to write", 250, by="approver")
        event = app.event["event"]
        user = slack.person("japanese").id
        assert event["inputs"] == {"who": user, "team": "platform", "purpose": "to write", "max_budget": 250}
        assert (event["type"], event["function"]["callback_id"]) == ("function_executed", "create_account")
        assert (app.event["type"], app.event["team_id"]) == ("event_callback", slack.team)
        assert event["function_execution_id"] == id_
        outputs = {"status": "created", "message": "done"}
        client = web(world, event["bot_access_token"])
        client.functions_completeSuccess(function_execution_id=id_, outputs=outputs)
        assert slack.execution(id_).outputs == outputs
        assert slack.execution(id_).status == "completed"
        with pytest.raises(SlackApiError) as error:
            client.auth_test()
        assert refused(error) == "invalid_auth"  # the token ended with the step
        with pytest.raises(SlackApiError) as error:
            web(world).functions_completeError(function_execution_id=id_, error="late")
        assert refused(error) == "execution_not_in_running_state"

    def test_steps_that_cannot_be_completed(self, world: OutsideWorld, slack: SlackWorkspace, app: App) -> None:
        first, second = (slack.run_step("english", "platform", "x") for _ in range(2))
        outputs = {"status": "created", "message": "done"}
        other = web(world, slack.step_token(first))
        for client, id_, values, code in (
            (web(world), "Fx0NONE00000", outputs, "function_execution_not_found"),
            (web(world), first, {"status": "created"}, "parameter_validation_failed"),
            (web(world), first, {**outputs, "status": 1}, "parameter_validation_failed"),
            (other, second, outputs, "access_denied"),
        ):
            with pytest.raises(SlackApiError) as error:
                client.functions_completeSuccess(function_execution_id=id_, outputs=values)
            assert refused(error) == code
        web(world).functions_completeError(function_execution_id=first, error="no")
        assert (slack.execution(first).status, slack.execution(first).error) == ("failed", "no")
        assert slack.execution(second).status == "running"
        assert "max_budget" not in app.event["event"]["inputs"]

    @pytest.mark.parametrize(
        ("answer", "headers", "attempts"),
        [(500, {}, 4), (401, {}, 4), (400, {"x-slack-no-retry": "1"}, 1), (200, {}, 1)],
    )
    def test_a_refused_event_is_sent_three_times_more(
        self, slack: SlackWorkspace, app: App, answer: int, headers: dict[str, str], attempts: int
    ) -> None:
        app.answer, app.headers = (answer, "application/json", ""), headers
        assert slack.deactivate("japanese").status_code == answer
        assert len({body for _, body in app.requests}) == 1
        sent = [(got.get("x-slack-retry-num"), got.get("x-slack-retry-reason")) for got, _ in app.requests]
        assert sent == [(None, None), *((str(n), "http_error") for n in range(1, attempts))]
        slack.command("english")  # what a person waits for is never sent again
        assert len(app.requests) == attempts + 1

    def test_a_retry_has_the_same_body(self, slack: SlackWorkspace, app: App) -> None:
        slack.run_step("japanese", "platform", "x")
        assert slack.retry().status_code == 200
        slack.retry("http_error")
        (plain, first), (again, second), (third_headers, third) = app.requests
        assert first == second == third
        assert "x-slack-retry-num" not in plain
        assert (again["x-slack-retry-num"], again["x-slack-retry-reason"]) == ("1", "http_timeout")
        assert (third_headers["x-slack-retry-num"], third_headers["x-slack-retry-reason"]) == ("2", "http_error")

    def test_a_command_and_answers_to_it(self, world: OutsideWorld, slack: SlackWorkspace, app: App) -> None:
        app.answer = (200, "text/plain", "one moment")
        assert slack.command("english", "please").status_code == 200
        form = {name: values[0] for name, values in parse_qs(app.requests[-1][1]).items()}
        assert (form["command"], form["text"], form["team_id"]) == ("/llm-account", "please", slack.team)
        assert form["user_id"] == slack.person("english").id
        assert [message.text for message in slack.dms("english")] == ["one moment"]
        context = ssl.create_default_context(cafile=str(world.ca_file))
        respond = WebhookClient(form["response_url"], proxy=world.proxy_url, ssl=context)
        assert [respond.send(text=str(number)).status_code for number in range(6)] == [200] * 5 + [404]
        assert [message.text for message in slack.dms("english")] == ["one moment", *"01234"]
        web(world).views_open(trigger_id=form["trigger_id"], view=MODAL)
        assert len(slack.views("english")) == 1

    def test_a_click(self, world: OutsideWorld, slack: SlackWorkspace, app: App) -> None:
        web(world).chat_postMessage(channel="C0123456789", text="approve?", blocks=BUTTONS)
        (message,) = slack.audit()
        slack.click(message, "approve_account", "approver")
        payload = app.payload
        assert payload["type"] == "block_actions"
        assert payload["container"] == {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": "C0123456789",
            "is_ephemeral": False,
        }
        (action,) = payload["actions"]
        assert (action["action_id"], action["block_id"], action["value"]) == ("approve_account", "decision", "request")
        context = ssl.create_default_context(cafile=str(world.ca_file))
        respond = WebhookClient(payload["response_url"], proxy=world.proxy_url, ssl=context)
        respond.send(text="approved", replace_original=True)
        assert [message.text for message in slack.audit()] == ["approved"]
        with pytest.raises(ValueError, match="no button 'approve_account'"):
            slack.click(message, "approve_account", "approver")

    def test_somebody_leaves(self, slack: SlackWorkspace, app: App) -> None:
        slack.deactivate("japanese")
        event = app.event["event"]
        assert event["type"] == "user_change"
        assert (event["user"]["id"], event["user"]["deleted"]) == (slack.person("japanese").id, True)

    def test_url_verification(self, slack: SlackWorkspace, app: App) -> None:
        assert slack.url_verification().status_code == 200
        assert set(app.event) == {"token", "challenge", "type"}

    def test_forged_requests(self, slack: SlackWorkspace, app: App) -> None:
        body = json.dumps(slack.envelope({"type": "user_change"}))
        old = time.time() - 3600
        assert slack.deliver(body).status_code == 200
        assert slack.deliver(body, signing_secret="0" * 32).status_code == 401
        assert slack.deliver(body, timestamp=old).status_code == 401
        assert slack.deliver(body, headers={"X-Slack-Signature": None}).status_code == 401
        assert slack.deliver(body, headers={"x-slack-signature": "v0=00"}).status_code == 401
        assert slack.deliver("payload=%7B", FORM).status_code == 200
        assert [delivery.response.status_code for delivery in slack.deliveries()] == [200, 401, 401, 401, 401, 200]

    def test_only_this_machine_is_sent_to(self, slack: SlackWorkspace) -> None:
        with pytest.raises(ValueError, match="this machine only"):
            slack.request_url = "https://example.com/slack/events"
        with pytest.raises(RuntimeError, match="no request_url"):
            slack.command("english")

    def test_waiting(self, world: OutsideWorld, slack: SlackWorkspace) -> None:
        thread = threading.Thread(
            target=lambda: web(world).chat_postMessage(channel=slack.person("english").id, text="hello")
        )
        thread.start()
        assert slack.wait_for(lambda: slack.dms("english"))[0].text == "hello"
        thread.join()
        with pytest.raises(TimeoutError):
            slack.wait_for(lambda: slack.dms("japanese"), timeout=0.01)


def test_step_and_scopes_are_the_manifests() -> None:
    local = environments()["local"]
    assert set(slack_manifest.scopes(local)) == SCOPES
    step = step_definition()
    assert step["callback_id"] == slack_manifest.STEP
    for ours, theirs in (
        (step["input_parameters"], slack_manifest.INPUTS),
        (step["output_parameters"], slack_manifest.OUTPUTS),
    ):
        assert {row["name"]: (row["type"], row["is_required"]) for row in ours} == {
            name: (row["type"], row["is_required"]) for name, row in theirs.items()
        }


def test_the_workspace_is_that_of_the_settings(tmp_path: Path) -> None:
    onboarding = environments()["local"].onboarding
    assert onboarding
    with OutsideWorld(tmp_path, slack_workspace=onboarding) as world:
        assert web(world).auth_test()["team_id"] == onboarding.workspace
        address = world.slack_workspace.person("japanese").email or ""
        assert address.endswith(f"@{onboarding.mail_domains[0]}")


def test_old_credentials_are_completed(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    old = dataclasses.asdict(Credentials.generate())
    old = {name: value for name, value in old.items() if name not in ("slack_bot_token", "slack_signing_secret")}
    file.write_text(json.dumps(old))
    completed = Credentials.load_or_generate(file)
    assert dataclasses.asdict(completed).items() >= old.items()
    assert completed.slack_bot_token.startswith("xoxb-")
    assert Credentials.load_or_generate(file) == completed


class TestPage:
    @pytest.fixture
    def browser(self, world: OutsideWorld, app: App) -> Iterator[httpx.Client]:
        assert app.url
        headers = {"origin": world.control_url}
        with httpx.Client(
            base_url=world.control_url, trust_env=False, headers=headers, follow_redirects=True
        ) as client:
            yield client

    def test_an_account_is_asked_for_and_approved(self, world: OutsideWorld, browser: httpx.Client, app: App) -> None:
        slack = world.slack_workspace
        who = slack.person("japanese").id
        form = {"who": who, "team": "platform", "purpose": "<b>try</b>", "max_budget": "250"}
        page = browser.post("/ask", data=form).text
        assert "the app answered 200" in page
        assert "&lt;b&gt;try&lt;/b&gt;" in page
        assert app.event["event"]["inputs"]["max_budget"] == 250
        web(world).chat_postMessage(channel="C0123456789", text="approve?", blocks=BUTTONS)
        page = browser.get("/").text
        assert 'name="action_id" value="approve_account"' in page
        assert "must be a number" in browser.post("/ask", data={**form, "max_budget": "much"}).text
        click = {
            "channel": "C0123456789",
            "ts": slack.audit()[0].ts,
            "action_id": "approve_account",
            "user": slack.person("approver").id,
        }
        assert "Kenji Tanaka pressed the button" in browser.post("/click", data=click).text
        assert app.payload["user"]["id"] == slack.person("approver").id
        assert "is deactivated" in browser.post("/deactivate", data={"user": who}).text
        assert slack.person("japanese").deleted

    def test_a_mistake_is_told(self, browser: httpx.Client) -> None:
        assert "nobody with the role or id" in browser.post("/ask", data={"team": "a", "purpose": "b"}).text
        assert "The form needs a purpose" in browser.post("/ask", data={"who": "japanese", "team": "a"}).text
        assert "no longer there" in browser.post("/click", data={"ts": "1"}).text
        assert browser.post("/ask", content=b"x" * 30_000).status_code == 413

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://example.com"},
            {"origin": "null"},
            {"host": "attacker.example.com"},
            {"sec-fetch-site": "cross-site"},
            {"origin": "http://127.0.0.1:1"},
        ],
    )
    def test_other_sites_are_refused(self, world: OutsideWorld, browser: httpx.Client, headers: dict[str, str]) -> None:
        user = world.slack_workspace.person("japanese").id
        assert browser.post("/deactivate", data={"user": user}, headers=headers).status_code == 403
        assert not world.slack_workspace.person("japanese").deleted
        assert browser.delete("/", headers=headers).status_code == 403

    def test_nothing_of_others_is_loaded_or_run(self, world: OutsideWorld, browser: httpx.Client) -> None:
        text = '*Hello <https://example.com/?a=1&amp;b=2|there>* &lt;script&gt; <@U0LLMGATEWAY>\n"quoted" `code`'
        web(world).chat_postMessage(channel="C0123456789", text=text)
        answer = browser.get("/")
        assert '<b>Hello <a href="https://example.com/?a=1&amp;b=2"' in answer.text
        assert "&lt;script&gt;" in answer.text
        assert "<script" not in answer.text
        assert not re.search(r"<(?:link|img|script)\b", answer.text)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")

    def test_the_workspace_as_json(self, world: OutsideWorld, slack: SlackWorkspace, browser: httpx.Client) -> None:
        id_ = slack.run_step("english", "platform", "x")
        found = browser.get("/workspace")
        assert found.json()["executions"][0]["id"] == id_
        assert slack.step_token(id_) not in found.text
        assert browser.delete("/workspace").status_code == 204
        assert world.slack_workspace.executions() == []
