"""What the simulated Slack workspace has: people, channels, messages, modals, and running workflow steps."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from local.outside.records import Json
from local.outside.slack_files import Files, SlackFile
from local.outside.slack_people import OTHER_TEAM, Person, cast

Found = TypeVar("Found")

APP, BOT_USER, BOT = "A0LLMGATEWAY", "U0LLMGATEWAY", "B0LLMGATEWAY"
GENERAL = "C0GENERAL000"
"""A channel that everybody is in, but not the app: as it is where most people type a command."""
SCOPES = {"chat:write", "commands", "files:write", "usergroups:read", "users:read", "users:read.email"}
"""Those of the app's manifest."""
ORGANISATION_TEAM = "T0SECOND000"
"""The second workspace of an organisation, which all user groups are in."""
TRIGGER_SECONDS = 3.0
"""docs.slack.dev/interactivity/handling-user-interaction: how long a modal may be opened after the user's action."""
START_SECONDS = 1.8
"""What a cold start of the app's function is counted with: the aim of `make bench`, and Lambda's own part."""
CALL_SECONDS = 1.0
"""What a call of the Web API is counted with: as long as the app's function waits for one."""
RESPONSE_URL_USES, RESPONSE_URL_SECONDS = 5, 1800
"""docs.slack.dev/interactivity/handling-user-interaction: a response URL takes five messages within 30 minutes."""


class WorkspaceSettings(Protocol):
    """What differs between workspaces, by the names of the `onboarding` settings of an environment."""

    @property
    def command(self) -> str:
        """The app's slash command."""

    @property
    def workspace(self) -> str:
        """The workspace's id, T…, or that of the organisation, E…, which the app is installed in the whole of."""

    @property
    def audit_channel(self) -> str:
        """The channel that the app reports to, C… or G…."""

    @property
    def approver_group(self) -> str | None:
        """The user group of the approvers, S…."""

    @property
    def mail_domains(self) -> tuple[str, ...]:
        """The company's own mail domains."""

    @property
    def teams(self) -> tuple[str, ...]:
        """The teams that an account may be asked for."""


@dataclass(frozen=True)
class ExampleWorkspace:
    """A workspace for those to whom it does not matter which."""

    command: str = "/llm-account"
    workspace: str = "T0123456789"
    audit_channel: str = "C0123456789"
    approver_group: str | None = "S0123456789"
    mail_domains: tuple[str, ...] = ("example.com",)
    teams: tuple[str, ...] = ("platform", "product")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of the app. `ephemeral_to` is the only user who sees it, None for everybody in the channel."""

    channel: str
    ts: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    ephemeral_to: str | None = None
    thread_ts: str | None = None
    metadata: Json | None = None
    files: tuple[str, ...] = ()  # ids
    edited: bool = False

    @property
    def buttons(self) -> list[Json]:
        """Its buttons, each with the `block_id` of its block."""
        elements = (
            (element, block["block_id"])
            for block in self.blocks
            for element in [*block.get("elements", []), block.get("accessory", {})]
        )
        return [{**element, "block_id": block_id} for element, block_id in elements if element.get("type") == "button"]

    @property
    def all_text(self) -> str:
        """The text and that of all blocks, for searching."""
        return "\n".join([self.text, *_texts(self.blocks)])


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A modal that a user has before them. `errors` are those that the last submission was answered with."""

    id: str
    user: str
    payload: Json
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A workflow step. `status` is running, completed (with `outputs`) or failed (with `error`)."""

    id: str
    inputs: Json
    by: str
    status: str = "running"
    outputs: Json = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel and who is in it."""

    id: str
    name: str
    members: frozenset[str]


@dataclass(slots=True)
class _Trigger:
    user: str
    spent: float  # seconds, as they are counted
    exchanged: bool = False


@dataclass(slots=True)
class _ResponseUrl:
    user: str
    channel: str
    message: str | None
    made: float
    uses: int = 0


class SlackError(Exception):
    """A refusal in Slack's own words, with what else the answer says."""

    def __init__(self, code: str, **more: object) -> None:
        super().__init__(code)
        self.code, self.more = code, more


class Workspace:
    """The workspace's state; safe to use from any thread.

    Parameters
    ----------
    settings
        Its ids and mail domains. With an organisation's id (E…) the app is installed for that: it has two workspaces.
        Everybody is in the first; the second has the user groups, and those who are in them.
    """

    def __init__(self, settings: WorkspaceSettings) -> None:
        self.organisation = settings.workspace if settings.workspace.startswith("E") else ""
        self.team = f"T{settings.workspace[1:]}"
        self.teams = (self.team, ORGANISATION_TEAM) if self.organisation else (self.team,)
        self.domain, self.command_name = settings.mail_domains[0].partition(".")[0], settings.command
        self.audit_channel, self.approver_group = settings.audit_channel, settings.approver_group
        self.mail_domains, self.team_names = settings.mail_domains, settings.teams
        self.scopes = set(SCOPES)  # what the app was granted; take one away to see `missing_scope`
        self.trigger_seconds = TRIGGER_SECONDS
        self._changed = threading.Condition()
        self._people = {person.id: person for person in cast(self.team, self.mail_domains, self.organisation)}
        approver = self.person("approver").id
        self._groups: dict[str, list[str]] = {self.approver_group: [approver]} if self.approver_group else {}
        members = frozenset(person.id for person in self._people.values() if not person.bot)
        self._channels = {
            GENERAL: Channel(GENERAL, "general", members),
            self.audit_channel: Channel(self.audit_channel, "llm-accounts", frozenset({BOT_USER, approver})),
        }
        self.uploads = Files()
        self._messages: list[Message] = []
        self._views: dict[str, View] = {}
        self._executions: dict[str, Execution] = {}
        self._step_tokens: dict[str, str] = {}
        self._triggers: dict[str, _Trigger] = {}
        self._response_urls: dict[str, _ResponseUrl] = {}
        self._last_ts = 0.0

    # People

    def people(self, team: str = "") -> list[Person]:
        """Return everybody, or those who are in a workspace, in the order in which they came."""
        with self._changed:
            grouped = {user for users in self._groups.values() for user in users}
            everybody = team in ("", self.team)
            return [person for person in self._people.values() if everybody or person.id in grouped]

    def person(self, who: str) -> Person:
        """Return the person of a role ("japanese", "approver", …) or an id.

        Raises
        ------
        KeyError
            Nobody has it.
        """
        with self._changed:
            if who in self._people:
                return self._people[who]
            for person in self._people.values():
                if person.role == who:
                    return person
        raise KeyError(f"The workspace has nobody with the role or id {who!r}.")

    def add_person(self, role: str, name: str = "Taro Test", *, email: str | None = "", **more: Any) -> Person:  # noqa: ANN401
        """Add a member and return them; the address is made of the role if none is given.

        `more` are the other fields of `Person`, such as `locale="en-US"` or `restricted=True`.
        """
        id_ = f"U{secrets.token_hex(5).upper()}"
        address = f"{role}@{self.mail_domains[0]}" if email == "" else email
        team, organisation = (OTHER_TEAM, "") if more.get("stranger") else (self.team, self.organisation)
        values = {"team": team, "organisation": organisation, "updated": int(time.time()), **more}
        person = Person(id=id_, role=role, name=name, email=address, **values)
        with self._changed:
            self._people[id_] = person
            general = self._channels[GENERAL]
            self._channels[GENERAL] = replace(general, members=general.members | {id_})
        return person

    def change_person(self, who: str, **changes: Any) -> Person:  # noqa: ANN401
        """Change fields of a person without telling the app, as when an event is lost; return them as they now are."""
        with self._changed:
            person = replace(self.person(who), updated=int(time.time()), **changes)
            self._people[person.id] = person
        return person

    def group(self, group: str, team: str = "") -> list[str]:
        """Return the user ids of a user group, which is in the last of the workspaces."""
        with self._changed:
            if group not in self._groups or team not in ("", self.teams[-1]):
                raise SlackError("no_such_subteam")
            return list(self._groups[group])

    def add_group(self, group: str, *who: str) -> None:
        """Make a user group (S…) of persons, by role or id; one that is there gets these members."""
        with self._changed:
            self._groups[group] = [self.person(one).id for one in who]

    # Channels and messages

    def add_channel(self, id_: str, name: str, *, bot: bool = True) -> None:
        """Make a channel of everybody; `bot` tells whether the app was invited to it.

        One that is there already keeps its name, and everybody comes to it.
        """
        with self._changed:
            name = self._channels[id_].name if id_ in self._channels else name
            people = self._channels[GENERAL].members
            self._channels[id_] = Channel(id_, name, people | {BOT_USER} if bot else people)

    def channel(self, id_: str) -> Channel:
        """Return a channel, or a direct message's."""
        with self._changed:
            if id_ in self._channels:
                return self._channels[id_]
        raise SlackError("channel_not_found")

    def open_dm(self, user: str) -> Channel:
        """Return the direct channel between the app and a user, which is made at the first time."""
        with self._changed:
            person = self._people.get(user)
            if person is None:
                raise SlackError("user_not_found")
            if person.deleted:
                raise SlackError("user_disabled")
            if person.bot or user == "USLACKBOT":
                raise SlackError("cannot_dm_bot")
            if person.stranger:
                raise SlackError("user_not_visible")
            id_ = f"D{user[1:]}"
            return self._channels.setdefault(id_, Channel(id_, "directmessage", frozenset({user, BOT_USER})))

    def add_message(self, channel: str, text: str, **more: Any) -> Message:  # noqa: ANN401
        """Keep a message; `more` are fields of `Message`. Blocks without a `block_id` get one."""
        with self._changed:
            self._last_ts = max(time.time(), self._last_ts + 1e-6)
            more["blocks"] = with_block_ids(more.get("blocks") or [])
            message = Message(channel=channel, ts=f"{self._last_ts:.6f}", text=text, **more)
            self._messages.append(message)
            self._changed.notify_all()
        return message

    def update_message(self, channel: str, ts: str, **changes: Any) -> Message:  # noqa: ANN401
        """Change a message that everybody in the channel sees."""
        with self._changed:
            for index, message in enumerate(self._messages):
                if (message.channel, message.ts, message.ephemeral_to) == (channel, ts, None):
                    self._messages[index] = replace(message, edited=True, **changes)
                    self._changed.notify_all()
                    return self._messages[index]
        raise SlackError("message_not_found")

    def messages(self, channel: str | None = None) -> list[Message]:
        """Return the messages of a channel or of all, as they now read, oldest first; ephemeral ones included."""
        with self._changed:
            return [message for message in self._messages if channel in (None, message.channel)]

    def files(self, channel: str | None = None) -> list[SlackFile]:
        """Return the files shared in a channel or in all, in the order of their upload."""
        return [file for file in self.uploads.shared() if channel in (None, file.channel)]

    def audit(self) -> list[Message]:
        """Return the messages in the audit channel."""
        return self.messages(self.audit_channel)

    def dms(self, who: str) -> list[Message]:
        """Return what the app sent to one person alone, by role or id: direct messages, and ephemeral ones anywhere."""
        user = self.person(who).id
        return [m for m in self.messages() if m.ephemeral_to == user or m.channel == f"D{user[1:]}"]

    # What the app may answer to

    def make_trigger(self, user: str) -> str:
        """Return a trigger id, with which one modal can be opened for the user within `trigger_seconds`.

        The seconds are counted, so that they are the same on a slow machine: `START_SECONDS`, and `CALL_SECONDS` for
        each call about the user, the one that opens the modal too.
        """
        trigger = f"{secrets.randbelow(10**13)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        with self._changed:
            self._triggers[trigger] = _Trigger(user, START_SECONDS)
        return trigger

    def count_call(self, user: object) -> None:
        """Count the time of a call about a user, for the triggers that the user has made."""
        with self._changed:
            for trigger in self._triggers.values():
                if trigger.user == user and not trigger.exchanged:
                    trigger.spent += CALL_SECONDS

    def open_view(self, trigger: str, payload: Json) -> View:
        """Exchange a trigger id for a modal."""
        with self._changed:
            known = self._triggers.get(trigger)
            if known is None:
                raise SlackError("invalid_trigger_id")
            if known.exchanged:
                raise SlackError("exchanged_trigger_id")
            if known.spent + CALL_SECONDS > self.trigger_seconds:
                raise SlackError("expired_trigger_id")
            known.exchanged = True
            id_ = f"V{secrets.token_hex(5).upper()}"
            view = View(id=id_, user=known.user, payload=self._view_object(id_, payload))
            self._views[id_] = view
            self._changed.notify_all()
        return view

    def update_view(self, id_: str, payload: Json, hash_: str | None = None) -> View:
        """Replace the content of a modal that is still open."""
        with self._changed:
            view = self._views.get(id_)
            if view is None:
                raise SlackError("not_found")
            if hash_ is not None and hash_ != view.payload["hash"]:
                raise SlackError("hash_conflict")
            self._views[id_] = replace(view, payload=self._view_object(id_, payload), errors={})
            self._changed.notify_all()
            return self._views[id_]

    def set_view_errors(self, id_: str, errors: dict[str, str]) -> None:
        """Show a modal's errors, by `block_id`."""
        with self._changed:
            self._views[id_] = replace(self._views[id_], errors=errors)
            self._changed.notify_all()

    def close_view(self, id_: str) -> None:
        """Close a modal; nothing happens if it is not open."""
        with self._changed:
            self._views.pop(id_, None)
            self._changed.notify_all()

    def views(self, who: str | None = None) -> list[View]:
        """Return the open modals, of one person (role or id) or of all."""
        user = None if who is None else self.person(who).id
        with self._changed:
            return [view for view in self._views.values() if user in (None, view.user)]

    def _view_object(self, id_: str, payload: Json) -> Json:
        kept = ("type", "title", "submit", "close", "callback_id", "private_metadata", "external_id")
        view = {name: payload.get(name, "") for name in kept if name in payload or name not in ("submit", "close")}
        return {
            **view,
            "id": id_,
            "team_id": self.team,
            "blocks": with_block_ids(payload["blocks"]),
            "state": {"values": {}},
            "hash": f"{int(time.time())}.{secrets.token_hex(4)}",
            "clear_on_close": bool(payload.get("clear_on_close")),
            "notify_on_close": bool(payload.get("notify_on_close")),
            "previous_view_id": None,
            "root_view_id": id_,
            "app_id": APP,
            "app_installed_team_id": self.team,
            "bot_id": BOT,
        }

    def start_execution(self, inputs: Json, by: str) -> Execution:
        """Start a workflow step; it has a token of its own, which is good until the step ends."""
        execution = Execution(id=f"Fx{secrets.token_hex(5).upper()}", inputs=inputs, by=by)
        with self._changed:
            self._executions[execution.id] = execution
            self._step_tokens[f"xwfp-{secrets.token_hex(24)}"] = execution.id
        return execution

    def step_token(self, id_: str) -> str:
        """Return the token of a step; KeyError if there is none."""
        with self._changed:
            return {step: token for token, step in self._step_tokens.items()}[id_]

    def running_step(self, token: str) -> str | None:
        """Return the step that a token is of, None if it is of none that runs."""
        with self._changed:
            step = self._executions.get(self._step_tokens.get(token, ""))
        return step.id if step and step.status == "running" else None

    def finish_execution(self, id_: str, **changes: Any) -> None:  # noqa: ANN401
        """End a step, as completed or failed; once only."""
        with self._changed:
            execution = self._executions.get(id_)
            if execution is None:
                raise SlackError("function_execution_not_found")
            if execution.status != "running":
                raise SlackError("execution_not_in_running_state")
            self._executions[id_] = replace(execution, **changes)
            self._changed.notify_all()

    def executions(self) -> list[Execution]:
        """Return every workflow step, oldest first."""
        with self._changed:
            return list(self._executions.values())

    def execution(self, id_: str) -> Execution:
        """Return one workflow step; KeyError if there is none."""
        with self._changed:
            return self._executions[id_]

    def make_response_url(self, kind: str, user: str, channel: str, message: str | None = None) -> str:
        """Return the URL for answers to one action; `kind` is commands or actions."""
        path = f"/{kind}/{self.team}/{secrets.randbelow(10**13)}/{secrets.token_urlsafe(18)}"
        with self._changed:
            self._response_urls[path] = _ResponseUrl(user, channel, message, time.time())
        return f"https://hooks.slack.com{path}"

    def respond(self, path: str, answer: Json) -> None:
        """Take what the app sends to a response URL.

        Raises
        ------
        SlackError
            There is no such URL, or it has been used up or is too old.
        """
        with self._changed:
            url = self._response_urls.get(path)
            if url is None:
                raise SlackError("no_service")
            if url.uses >= RESPONSE_URL_USES:
                raise SlackError("used_url")
            if time.time() - url.made > RESPONSE_URL_SECONDS:
                raise SlackError("expired_url")
            url.uses += 1
            content = {"text": answer.get("text", ""), "blocks": with_block_ids(answer.get("blocks") or [])}
            if url.message and answer.get("delete_original"):
                self._messages = [message for message in self._messages if message.ts != url.message]
            elif url.message and answer.get("replace_original"):
                self.update_message(url.channel, url.message, **content)
            else:
                public = answer.get("response_type") == "in_channel"
                self.add_message(url.channel, ephemeral_to=None if public else url.user, **content)

    # For those who look on

    def wait_for(self, found: Callable[[], Found], timeout: float = 60.0) -> Found:
        """Return what `found` returns as soon as it is true; it is asked again whenever the workspace changes.

        Raises
        ------
        TimeoutError
            It was not within `timeout` seconds.
        """
        with self._changed:
            result = self._changed.wait_for(found, timeout)
        if not result:
            raise TimeoutError(f"Slack has not got what was waited for within {timeout:g} seconds.")
        return result

    def clear(self) -> None:
        """Forget messages, files, modals and workflow steps; the people stay."""
        self.uploads.clear()
        with self._changed:
            self._messages.clear()
            self._views.clear()
            self._executions.clear()


def with_block_ids(blocks: list[Json]) -> list[Json]:
    """Return the blocks, each with a `block_id`: Slack makes one up where there is none."""
    return [{**block, "block_id": block.get("block_id") or secrets.token_urlsafe(4)} for block in blocks]


def _texts(value: object) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if not isinstance(value, dict):
        return []
    own = [value["text"]] if isinstance(value.get("text"), str) else []
    return own + [text for item in value.values() for text in _texts(item)]
