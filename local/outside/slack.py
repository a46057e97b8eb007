"""The simulated Slack workspace, and Slack's own side of it: the signed requests that it sends to the app.

Shapes: docs.slack.dev/reference/events (function_executed, user_change, url_verification),
/reference/interaction-payloads (block_actions, view_submission) and /interactivity/implementing-slash-commands.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import httpx

from local.outside.records import Json
from local.outside.slack_api import message_object
from local.outside.slack_blocks import NUMBER
from local.outside.slack_people import Person
from local.outside.slack_workspace import (
    APP,
    BOT_USER,
    GENERAL,
    ExampleWorkspace,
    Message,
    View,
    Workspace,
    WorkspaceSettings,
)

STEP = "create_account"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ANSWER_SECONDS = 30.0  # more than Slack's three, so that a slow machine shows an answer and not a broken connection
_RETRIES = 3
_INPUTS = (
    ("who", "slack#/types/user_id", "Who", True),
    ("team", "string", "Team", True),
    ("purpose", "string", "Purpose", True),
    ("max_budget", "number", "Budget", False),
)
_OUTPUTS = (("status", "string", "Status", True), ("message", "string", "Message", True))


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request to the app, and what it was answered with. `seconds` is how long the answer took."""

    body: bytes
    content_type: str
    response: httpx.Response
    seconds: float
    retry: int = 0


class SlackWorkspace(Workspace):
    """The workspace with its people, whose actions are sent to the app's request URL.

    Every method that sends returns when the app has answered, and may be called from any thread. Before the first one
    `request_url` must be set. Persons are named by role or id.

    Parameters
    ----------
    signing_secret
        With which requests are signed.
    settings
        The workspace's ids and mail domains: an environment's `onboarding` settings fit.
    """

    def __init__(self, signing_secret: str, settings: WorkspaceSettings | None = None) -> None:
        super().__init__(settings or ExampleWorkspace())
        self._signing_secret = signing_secret
        self._request_url = ""
        self._verification_token = secrets.token_urlsafe(18)
        self._deliveries: list[Delivery] = []

    @property
    def request_url(self) -> str:
        """Where the app takes requests; "" until it is deployed."""
        return self._request_url

    @request_url.setter
    def request_url(self, url: str) -> None:
        if urlsplit(url).hostname not in _LOOPBACK:
            raise ValueError(f"The simulated Slack sends to this machine only (127.0.0.1), not to {url}.")
        self._request_url = url

    def deliveries(self) -> list[Delivery]:
        """Return what was sent to the app and has been answered, oldest first."""
        with self._changed:
            return list(self._deliveries)

    def deliver(
        self,
        body: bytes | str,
        content_type: str = JSON,
        *,
        headers: Mapping[str, str | None] | None = None,
        timestamp: float | None = None,
        signing_secret: str | None = None,
        method: str = "POST",
        retry: int = 0,
        reason: str = "http_timeout",
    ) -> httpx.Response:
        """Send one request, signed as Slack signs, and return the answer.

        Parameters
        ----------
        body, content_type
            As they are; nothing is checked.
        headers
            More headers, or others: None leaves one out. What is given here is not signed again, so that a forged
            signature or timestamp arrives as it is.
        timestamp, signing_secret
            For a request that is signed at another time, in seconds since 1970, or by somebody else.
        retry, reason
            With a number, it is sent as Slack's retry: x-slack-retry-num and x-slack-retry-reason (http_timeout,
            http_error, connection_failed, …).

        Raises
        ------
        RuntimeError
            `request_url` is not set.
        httpx.TransportError
            Nobody answers there.
        """
        if not self._request_url:
            raise RuntimeError("The simulated Slack has no request_url: set it when the app is deployed.")
        content = body.encode() if isinstance(body, str) else body
        stamp = str(int(time.time() if timestamp is None else timestamp))
        sent: dict[str, str | None] = {
            "content-type": content_type,
            "user-agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "x-slack-request-timestamp": stamp,
            "x-slack-signature": signature(signing_secret or self._signing_secret, stamp, content),
        }
        if retry:
            sent |= {"x-slack-retry-num": str(retry), "x-slack-retry-reason": reason}
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        start = time.monotonic()
        response = httpx.request(
            method,
            self._request_url,
            content=content,
            headers={name: value for name, value in sent.items() if value is not None},
            timeout=_ANSWER_SECONDS,
            trust_env=False,
        )
        delivery = Delivery(content, content_type, response, time.monotonic() - start, retry)
        with self._changed:
            self._deliveries.append(delivery)
            self._changed.notify_all()
        return response

    def retry(self, reason: str = "http_timeout") -> httpx.Response:
        """Send the last request again, as Slack does when it got no answer in time; signed afresh, the same body."""
        last = self.deliveries()[-1]
        return self.deliver(last.body, last.content_type, retry=last.retry + 1, reason=reason)

    def url_verification(self) -> httpx.Response:
        """Ask the app for a challenge back, as Slack does when a request URL is entered."""
        challenge = secrets.token_urlsafe(32)
        body = {"token": self._verification_token, "challenge": challenge, "type": "url_verification"}
        return self.deliver(json.dumps(body))

    def event(self, event: Json) -> httpx.Response:
        """Send an event in its envelope, and again as long as it is refused; return the last answer.

        As Slack does, three times more at most, unless the answer asks for none (docs.slack.dev/apis/events-api: error
        handling). Slack waits for a minute and for five before the last two; nothing does here.
        """
        body = json.dumps(self.envelope(event))
        response = self.deliver(body)
        for retry in range(1, _RETRIES + 1):
            if response.is_success or response.headers.get("x-slack-no-retry") == "1":
                break
            response = self.deliver(body, retry=retry, reason="http_error")
        return response

    def envelope(self, event: Json) -> Json:
        """Return an event as Slack sends it, with a new `event_id`; the text of it can be sent with `deliver`."""
        organisation = self.organisation or None
        bot = {"enterprise_id": organisation, "team_id": self.team, "user_id": BOT_USER, "is_bot": True}
        return {
            "token": self._verification_token,
            "team_id": self.team,
            "context_team_id": self.team,
            "context_enterprise_id": organisation,
            "api_app_id": APP,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(5).upper()}",
            "event_time": int(time.time()),
            "authorizations": [{**bot, "is_enterprise_install": organisation is not None}],
            "is_ext_shared_channel": False,
        }

    def run_step(
        self, who: str, team: str, purpose: str, max_budget: float | None = None, *, by: str | None = None
    ) -> str:
        """Run the workflow whose step makes an account, and return the step's execution id.

        `by` is who started the workflow, `who` if not given. Slack does not tell the app.
        """
        user = self.person(who).id
        inputs: Json = {"who": user, "team": team, "purpose": purpose}
        if max_budget is not None:
            inputs["max_budget"] = max_budget
        execution = self.start_execution(inputs, self.person(by).id if by else user)
        event = {
            "type": "function_executed",
            "function": step_definition(),
            "inputs": inputs,
            "function_execution_id": execution.id,
            "workflow_execution_id": f"Wx{secrets.token_hex(5).upper()}",
            "event_ts": f"{time.time():.6f}",
            "bot_access_token": self.step_token(execution.id),
        }
        self.event(event)
        return execution.id

    def command(self, user: str, text: str = "") -> httpx.Response:
        """Type the slash command in the channel of everybody; what the app answers at once is shown to the user."""
        person = self.person(user)
        form = {
            "token": self._verification_token,
            **({"enterprise_id": person.organisation} if person.organisation else {}),
            "team_id": person.team,
            "team_domain": self.domain,
            "channel_id": GENERAL,
            "channel_name": self.channel(GENERAL).name,
            "user_id": person.id,
            "user_name": person.handle,
            "command": self.command_name,
            "text": text,
            "api_app_id": APP,
            "is_enterprise_install": "true" if self.organisation else "false",
            "response_url": self.make_response_url("commands", person.id, GENERAL),
            "trigger_id": self.make_trigger(person.id),
        }
        response = self.deliver(urlencode(form), FORM)
        self._show(response, person)
        return response

    def submit(self, view: View | str, values: Mapping[str, object]) -> httpx.Response:
        """Submit a modal, and do with it what the app answers: close it, show its errors, or change it.

        Parameters
        ----------
        view
            The modal, or its id.
        values
            By `action_id` or `block_id`: a text, a number, a person (role or id) or an option's value, as the field
            takes it. What is not given keeps the field's initial value.

        Raises
        ------
        ValueError
            Slack's own form would not let it through: a value that is not offered, a required one that is missing.
        """
        opened = next(known for known in self.views() if known.id == (view if isinstance(view, str) else view.id))
        payload = {**opened.payload, "state": {"values": self._state(opened.payload, values)}}
        response = self.interaction(
            {"type": "view_submission", "view": payload, "response_urls": []}, self.person(opened.user)
        )
        if response.is_success:
            self._take_action(opened, response)
        return response

    def click(self, message: Message, action_id: str, user: str) -> httpx.Response:
        """Press a button of a message.

        Raises
        ------
        ValueError
            The message, as it now reads, has no such button.
        """
        person = self.person(user)
        now = next((m for m in self.messages(message.channel) if m.ts == message.ts), message)
        button = next((button for button in now.buttons if button.get("action_id") == action_id), None)
        if button is None:
            raise ValueError(f"The message has no button {action_id!r}.")
        hidden = now.ephemeral_to is not None
        container = {"type": "message", "message_ts": now.ts, "channel_id": now.channel, "is_ephemeral": hidden}
        payload = {
            "type": "block_actions",
            "container": container,
            "channel": {"id": now.channel, "name": self.channel(now.channel).name},
            "message": message_object(now, self.team),
            "state": {"values": {}},
            "response_url": self.make_response_url("actions", person.id, now.channel, now.ts),
            "actions": [{**button, "action_ts": f"{time.time():.6f}"}],
        }
        return self.interaction(payload, person)

    def interaction(self, payload: Json, person: Person) -> httpx.Response:
        """Send an interaction payload of a person, with what all of them have."""
        common = {
            "user": {"id": person.id, "username": person.handle, "name": person.handle, "team_id": person.team},
            "api_app_id": APP,
            "token": self._verification_token,
            "trigger_id": self.make_trigger(person.id),
            "team": {"id": person.team, "domain": self.domain},
            "enterprise": {"id": person.organisation, "name": self.domain} if person.organisation else None,
            "is_enterprise_install": bool(self.organisation),
        }
        return self.deliver(urlencode({"payload": json.dumps(common | payload)}), FORM)

    def deactivate(self, user: str) -> httpx.Response:
        """Deactivate a person and tell the app; `change_person(user, deleted=True)` does it without telling."""
        return self.user_change(self.change_person(user, deleted=True).id)

    def user_change(self, user: str) -> httpx.Response:
        """Tell the app that a person's profile has changed."""
        person = self.person(user)
        shown = person.user(with_locale=True, with_email="users:read.email" in self.scopes)
        event = {"type": "user_change", "user": shown, "cache_ts": int(time.time()), "event_ts": f"{time.time():.6f}"}
        return self.event(event)

    def _show(self, response: httpx.Response, person: Person) -> None:
        """Show the answer to a command, if it is a message."""
        if not response.is_success or not response.text.strip():
            return
        answer = response.json() if "json" in response.headers.get("content-type", "") else {"text": response.text}
        if not isinstance(answer, dict) or not {"text", "blocks"} & answer.keys():
            return
        public = answer.get("response_type") == "in_channel"
        self.add_message(
            GENERAL,
            answer.get("text", ""),
            blocks=answer.get("blocks"),
            ephemeral_to=None if public else person.id,
        )

    def _take_action(self, view: View, response: httpx.Response) -> None:
        answer = response.json() if response.text.strip() else {}
        match answer.get("response_action"):
            case "errors":
                self.set_view_errors(view.id, answer["errors"])
            case "update":
                self.update_view(view.id, answer["view"])
            case "clear":
                for opened in self.views(view.user):
                    self.close_view(opened.id)
            case _:
                self.close_view(view.id)

    def _state(self, payload: Json, values: Mapping[str, object]) -> Json:
        """Return the state of a modal's fields, by block and action."""
        state: Json = {}
        left = set(values)
        for block in payload["blocks"]:
            for element in [block.get("element"), block.get("accessory"), *block.get("elements", [])]:
                if not element or element.get("type") not in _FIELDS:
                    continue
                action = element["action_id"]
                name = next((name for name in (action, block["block_id"]) if name in values), "")
                left.discard(name)
                given = values[name] if name else None
                field = _FIELDS[element["type"]](self, element, given)
                if block["type"] == "input" and not block.get("optional") and _empty(field):
                    raise ValueError(f"Slack's form asks for {action}, which is not optional.")
                state.setdefault(block["block_id"], {})[action] = {"type": element["type"], **field}
        if left:
            raise ValueError(f"The modal has no field {', '.join(sorted(left))}.")
        return state

    def _text_field(self, element: Json, given: object) -> Json:
        text = element.get("initial_value") if given is None else str(given)
        shortest, longest = element.get("min_length", 0), element.get("max_length", 3000)
        if text and not shortest <= len(text) <= longest:
            raise ValueError(f"Slack's form takes {shortest} to {longest} characters in {element['action_id']}.")
        return {"value": text or None}

    def _number_field(self, element: Json, given: object) -> Json:
        text = element.get("initial_value") if given in (None, "") else str(given)
        if not text:
            return {"value": None}
        if not NUMBER.fullmatch(text):
            raise ValueError(f"Slack's form takes digits and a point in {element['action_id']}, and not {text}.")
        number = float(text)
        if not element["is_decimal_allowed"] and not number.is_integer():
            raise ValueError(f"Slack's form takes whole numbers only in {element['action_id']}.")
        if not float(element.get("min_value", number)) <= number <= float(element.get("max_value", number)):
            raise ValueError(f"Slack's form takes {number:g} not in {element['action_id']}: out of its bounds.")
        return {"value": text}

    def _user_field(self, element: Json, given: object) -> Json:
        return {"selected_user": element.get("initial_user") if given is None else self.person(str(given)).id}

    def _option_field(self, element: Json, given: object) -> Json:
        if given is None:
            return {"selected_option": element.get("initial_option")}
        groups = element.get("option_groups", [])
        options = [*element.get("options", []), *(option for group in groups for option in group["options"])]
        chosen = next((option for option in options if option["value"] == given), None)
        if chosen is None:
            raise ValueError(f"Slack's form does not offer {given!r} in {element['action_id']}.")
        return {"selected_option": chosen}


_FIELDS: dict[str, Callable[[SlackWorkspace, Json, object], Json]] = {
    "plain_text_input": SlackWorkspace._text_field,  # the table of its own fields
    "number_input": SlackWorkspace._number_field,
    "users_select": SlackWorkspace._user_field,
    "static_select": SlackWorkspace._option_field,
}


def signature(signing_secret: str, timestamp: str, body: bytes) -> str:
    """Return Slack's signature of a request (docs.slack.dev/authentication/verifying-requests-from-slack)."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(signing_secret.encode(), base, hashlib.sha256).hexdigest()


def step_definition() -> Json:
    """Return the workflow step as Slack describes it to the app: the manifest's, in Slack's own shape."""

    def parameters(rows: tuple[tuple[str, str, str, bool], ...]) -> list[Json]:
        return [
            {"type": type_, "name": name, "description": title, "title": title, "is_required": required}
            for name, type_, title, required in rows
        ]

    return {
        "id": "Fn0CREATEACCOUNT",
        "callback_id": STEP,
        "title": "Create LLM gateway account",
        "description": "Makes an account and sends the invitation by mail",
        "type": "app",
        "input_parameters": parameters(_INPUTS),
        "output_parameters": parameters(_OUTPUTS),
        "app_id": APP,
        "date_created": 1_790_000_000,
        "date_updated": 1_790_000_000,
        "date_deleted": 0,
        "form_enabled": False,
    }


def _empty(field: Json) -> bool:
    return all(value in (None, "") for value in field.values())
