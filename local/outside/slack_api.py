"""Slack's Web API of the simulated workspace: the methods that the functions call.

Names of arguments, answers and errors: docs.slack.dev/reference/methods.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.records import Json
from local.outside.slack_blocks import problems, text_length
from local.outside.slack_files import HOST, LONGEST_ALT_TEXT, SlackFile
from local.outside.slack_workspace import APP, BOT, BOT_USER, Message, SlackError, Workspace, with_block_ids

_PATH = "/api/"
_LONGEST_TEXT = 40_000
_LONGEST_BLOCKS = 12_000  # characters: github.com/slackapi/bolt-js/issues/2867, for want of a documented limit
_LARGEST_VIEW_BYTES = 250_000
_MOST_USERS = 1000  # of one page of users.list
_JSON_ARGUMENTS = ("blocks", "view", "outputs", "metadata", "attachments", "files")
_STATUS_ERRORS = {429: "ratelimited", 500: "internal_error", 503: "service_unavailable"}
_STEP_OUTPUTS = {"status", "message"}


@dataclass(frozen=True, slots=True)
class _Method:
    run: Callable[[Json], Json]
    required: tuple[str, ...] = ()
    scope: str | None = None
    of_team: bool = False  # it is about one workspace, which an organisation's token has to name as `team_id`


class SlackApi:
    """Answers for slack.com, with the app's bot token or, for its own end, a workflow step's token."""

    name = "slack-api"

    def __init__(self, workspace: Workspace, bot_token: str) -> None:
        self._workspace, self._bot_token = workspace, bot_token
        self._methods = {
            "auth.test": _Method(self._auth_test),
            "auth.teams.list": _Method(self._teams_list),
            "users.info": _Method(self._users_info, scope="users:read"),
            "users.list": _Method(self._users_list, scope="users:read", of_team=True),
            "usergroups.users.list": _Method(self._group_users, ("usergroup",), "usergroups:read", of_team=True),
            "views.open": _Method(self._views_open, ("view",)),
            "views.update": _Method(self._views_update, ("view",)),
            "chat.postMessage": _Method(self._post_message, ("channel",), "chat:write"),
            "chat.postEphemeral": _Method(self._post_ephemeral, ("channel", "user"), "chat:write"),
            "chat.update": _Method(self._update_message, ("channel", "ts"), "chat:write"),
            "files.getUploadURLExternal": _Method(self._upload_url, ("filename", "length"), "files:write"),
            "files.completeUploadExternal": _Method(self._complete_upload, ("files",), "files:write"),
            "conversations.open": _Method(self._open_conversation, scope="im:write"),
            "functions.completeSuccess": _Method(self._complete, ("function_execution_id", "outputs")),
            "functions.completeError": _Method(self._fail, ("function_execution_id", "error")),
        }

    def serves(self, host: str) -> bool:
        """Return whether the host is the Web API's."""
        return host == "slack.com"

    def target(self, request: Request) -> Target:
        """Return the method, which is the rest of the path."""
        if request.method not in ("GET", "POST") or not request.path.startswith(_PATH):
            raise ApiError(404)
        return Target(request.path.removeprefix(_PATH))

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call. As Slack does, a refusal has the status 200 too, and says `"ok": false`."""
        headers = {"x-oauth-scopes": ",".join(sorted(self._workspace.scopes))}
        try:
            return Answer.of_json({"ok": True, **self._call(request, target.operation)}, headers=headers)
        except SlackError as error:
            return Answer.of_json({"ok": False, "error": error.code, **error.more}, headers=headers)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return the error of a fault; a 429 says when to try again."""
        if error.status == 400:  # what does not fit the method is refused as any other argument is
            return Answer.of_json({"ok": False, "error": "invalid_arguments"})
        headers = {"retry-after": str(retry_after_seconds)} if error.status == 429 else {}
        code = _STATUS_ERRORS.get(error.status, "fatal_error")
        return Answer.of_json({"ok": False, "error": code}, status=error.status, headers=headers)

    def _call(self, request: Request, name: str) -> Json:
        method = self._methods.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        arguments = _arguments(request)
        self._check_token(request, arguments, name)
        scopes = self._workspace.scopes
        if method.scope is not None and method.scope not in scopes:
            raise SlackError("missing_scope", needed=method.scope, provided=",".join(sorted(scopes)))
        if method.of_team:
            self._check_team(arguments)
        self._workspace.count_call(arguments.get("user"))
        missing = [argument for argument in method.required if arguments.get(argument) in (None, "")]
        if missing:
            raise _invalid([f"missing required field: {argument}" for argument in missing])
        return method.run(arguments)

    def _check_token(self, request: Request, arguments: Json, name: str) -> None:
        token = request.bearer or arguments.get("token", "")
        if not token:
            raise SlackError("not_authed")
        if same(token, self._bot_token):
            return
        step = self._workspace.running_step(token)
        if step is None:
            raise SlackError("invalid_auth")
        if name.startswith("functions.") and arguments.get("function_execution_id") != step:
            raise SlackError("access_denied")

    def _check_team(self, arguments: Json) -> None:
        """A workspace's token has its own; an organisation's is good for those of auth.teams.list.

        docs.slack.dev/reference/methods/users.list and /usergroups.users.list: "Required if org token is used", with
        the errors missing_argument and team_access_not_granted.
        """
        if not self._workspace.organisation:
            arguments["team_id"] = self._workspace.team
        elif not arguments.get("team_id"):
            raise SlackError("missing_argument")
        elif arguments["team_id"] not in self._workspace.teams:
            raise SlackError("team_access_not_granted")

    def _auth_test(self, arguments: Json) -> Json:  # it takes none
        return {
            "url": f"https://{self._workspace.domain}.slack.com/",
            "team": self._workspace.domain.title(),
            "user": "llm_gateway",
            "team_id": self._workspace.team,
            "user_id": BOT_USER,
            "bot_id": BOT,
            "is_enterprise_install": bool(self._workspace.organisation),
            **({"enterprise_id": self._workspace.organisation} if self._workspace.organisation else {}),
        }

    def _teams_list(self, arguments: Json) -> Json:
        """The workspaces that the token is good for; a page has one, as Slack gives no more than it likes."""
        teams = list(self._workspace.teams)
        start = _place(arguments.get("cursor") or "", teams)
        names = [{"id": team, "name": f"{self._workspace.domain.title()} {n}"} for n, team in enumerate(teams, 1)]
        left = teams[start + 1 :]
        return {
            "teams": names[start : start + 1],
            "response_metadata": {"next_cursor": _cursor(left[0]) if left else ""},
        }

    def _users_info(self, arguments: Json) -> Json:
        try:
            person = self._workspace.person(arguments.get("user", ""))
        except KeyError:
            raise SlackError("user_not_found") from None
        if person.id != arguments["user"]:  # a role is a name of ours, not Slack's
            raise SlackError("user_not_found")
        return {"user": person.user(with_locale=_true(arguments, "include_locale"), with_email=self._sees_addresses)}

    def _users_list(self, arguments: Json) -> Json:
        people = self._workspace.people(arguments["team_id"])
        limit = int(arguments.get("limit") or 0)
        if not 0 <= limit <= _MOST_USERS:
            raise SlackError("invalid_limit")
        start = _place(arguments.get("cursor") or "", [person.id for person in people])
        end = start + limit if limit else len(people)
        locale = _true(arguments, "include_locale")
        return {
            "members": [p.user(with_locale=locale, with_email=self._sees_addresses) for p in people[start:end]],
            "cache_ts": int(time.time()),
            "response_metadata": {"next_cursor": _cursor(people[end].id) if end < len(people) else ""},
        }

    @property
    def _sees_addresses(self) -> bool:
        return "users:read.email" in self._workspace.scopes

    def _group_users(self, arguments: Json) -> Json:
        users = self._workspace.group(arguments["usergroup"], arguments["team_id"])
        if not _true(arguments, "include_disabled"):
            users = [user for user in users if not self._workspace.person(user).deleted]
        return {"users": users}

    def _views_open(self, arguments: Json) -> Json:
        if not arguments.get("trigger_id"):
            raise _invalid(["missing required field: trigger_id"])
        return {"view": self._workspace.open_view(arguments["trigger_id"], _view(arguments)).payload}

    def _views_update(self, arguments: Json) -> Json:
        if not arguments.get("view_id") and not arguments.get("external_id"):
            raise _invalid(["either view_id or external_id must be provided"])
        id_ = arguments.get("view_id") or next(
            (v.id for v in self._workspace.views() if v.payload["external_id"] == arguments["external_id"]), ""
        )
        return {"view": self._workspace.update_view(id_, _view(arguments), arguments.get("hash")).payload}

    def _post_message(self, arguments: Json) -> Json:
        content = _content(arguments)
        id_ = arguments["channel"]
        channel = self._workspace.open_dm(id_) if id_.startswith("U") else self._workspace.channel(id_)
        self._check_here(channel.members)
        message = self._workspace.add_message(
            channel.id, thread_ts=arguments.get("thread_ts"), metadata=arguments.get("metadata"), **content
        )
        return {"channel": channel.id, "ts": message.ts, "message": message_object(message, self._workspace.team)}

    def _post_ephemeral(self, arguments: Json) -> Json:
        content = _content(arguments)
        channel = self._workspace.channel(arguments["channel"])
        self._check_here(channel.members)
        if arguments["user"] not in channel.members:
            raise SlackError("user_not_in_channel")
        message = self._workspace.add_message(channel.id, ephemeral_to=arguments["user"], **content)
        return {"message_ts": message.ts}

    def _check_here(self, members: frozenset[str]) -> None:
        if BOT_USER not in members and "chat:write.public" not in self._workspace.scopes:
            raise SlackError("not_in_channel")

    def _update_message(self, arguments: Json) -> Json:
        content = _content(arguments)
        channel = self._workspace.channel(arguments["channel"])
        message = self._workspace.update_message(channel.id, arguments["ts"], **content)
        shown = message_object(message, self._workspace.team)
        return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": shown}

    def _upload_url(self, arguments: Json) -> Json:
        length, alt_text = str(arguments["length"]), str(arguments.get("alt_txt") or "")
        if not length.isdecimal():
            raise _invalid(["must be an integer [json-pointer:/length]"])
        if length == "0":
            raise SlackError("missing_argument")  # Slack's word for an empty file
        if len(alt_text) > LONGEST_ALT_TEXT:
            raise SlackError("alt_txt_too_large")
        file = self._workspace.uploads.reserve(str(arguments["filename"]), int(length), alt_text)
        return {"upload_url": f"https://{HOST}{file.upload_path}", "file_id": file.id}

    def _complete_upload(self, arguments: Json) -> Json:
        """Share files in one message, whose blocks and text Slack makes of them; the app must be in the channel."""
        files = [(self._uploaded(item), str(item.get("title") or "")) for item in arguments["files"]]
        id_, thread, ts = arguments.get("channel_id") or "", arguments.get("thread_ts"), ""
        if id_:
            channel = self._workspace.channel(id_)
            if BOT_USER not in channel.members:
                raise SlackError("not_in_channel")
            if thread and not any(message.ts == thread for message in self._workspace.messages(id_)):
                raise SlackError("thread_not_found")
            text = str(arguments.get("initial_comment") or "")
            shared = tuple(file.id for file, _ in files)
            ts = self._workspace.add_message(id_, text, thread_ts=thread, files=shared).ts
        done = [
            self._workspace.uploads.complete(file, title=title or file.name, channel=id_, ts=ts, thread_ts=thread)
            for file, title in files
        ]
        return {"files": [file.file_object(self._workspace.team, BOT_USER) for file in done]}

    def _uploaded(self, item: Json) -> SlackFile:
        file = self._workspace.uploads.waiting(str(item.get("id")))
        if file is None:
            raise SlackError("file_not_found")
        return file

    def _open_conversation(self, arguments: Json) -> Json:
        users = [user for user in (arguments.get("users") or "").split(",") if user]
        if arguments.get("channel"):
            id_ = self._workspace.channel(arguments["channel"]).id
        elif not users:
            raise SlackError("users_list_not_supplied")
        elif len(users) > 1:  # a group's direct message needs mpim:write, which the app has not
            raise SlackError("missing_scope", needed="mpim:write", provided=",".join(sorted(self._workspace.scopes)))
        else:
            id_ = self._workspace.open_dm(users[0]).id
        channel: Json = {"id": id_}
        if _true(arguments, "return_im"):
            channel |= {"is_im": True, "user": users[0] if users else "", "created": int(time.time())}
        return {"channel": channel}

    def _complete(self, arguments: Json) -> Json:
        outputs = arguments["outputs"]
        id_ = arguments["function_execution_id"]
        if not isinstance(outputs, dict):
            raise _invalid(["must provide an object [json-pointer:/outputs]"])
        wrong = sorted(outputs.keys() ^ _STEP_OUTPUTS)
        wrong += sorted(name for name, value in outputs.items() if name not in wrong and not isinstance(value, str))
        if wrong:
            raise SlackError(
                "parameter_validation_failed",
                response_metadata={
                    "messages": [f"[ERROR] `{name}` does not fit the output's schema" for name in wrong]
                },
            )
        self._workspace.finish_execution(id_, status="completed", outputs=outputs)
        return {}

    def _fail(self, arguments: Json) -> Json:
        self._workspace.finish_execution(
            arguments["function_execution_id"], status="failed", error=str(arguments["error"])
        )
        return {}


def message_object(message: Message, team: str) -> Json:
    """Return a message as answers and events show it."""
    shown: Json = {
        "type": "message",
        "user": BOT_USER,
        "bot_id": BOT,
        "app_id": APP,
        "team": team,
        "text": message.text,
        "ts": message.ts,
        "blocks": message.blocks,
    }
    if message.thread_ts:
        shown["thread_ts"] = message.thread_ts
    if message.metadata:
        shown["metadata"] = message.metadata
    if message.edited:
        shown["edited"] = {"user": BOT_USER, "ts": message.ts}
    return shown


def _arguments(request: Request) -> Json:
    """Read the arguments: JSON, or a form in the body and the query, in which objects are JSON texts."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "application/json" and request.body:
        try:
            body = json.loads(request.body)
        except ValueError:
            raise SlackError("invalid_json") from None
        if not isinstance(body, dict):
            raise SlackError("json_not_object")
        return {**request.query, **body}
    if request.body and kind != "application/x-www-form-urlencoded":
        raise SlackError("invalid_post_type")
    arguments: Json = {**request.query, **dict(parse_qsl(request.body.decode(), keep_blank_values=True))}
    for name in _JSON_ARGUMENTS:
        if isinstance(arguments.get(name), str):
            try:
                arguments[name] = json.loads(arguments[name])
            except ValueError:
                raise _invalid([f"must be valid JSON [json-pointer:/{name}]"]) from None
    return arguments


def _content(arguments: Json) -> Json:
    """Return the checked text and blocks of a message."""
    text, blocks = arguments.get("text") or "", arguments.get("blocks") or []
    if not text and not blocks:
        raise SlackError("no_text")
    if len(text) > _LONGEST_TEXT:
        raise SlackError("msg_too_long")
    found = problems("message", {"blocks": blocks})
    if text_length(blocks) > _LONGEST_BLOCKS:
        raise SlackError("msg_blocks_too_long")
    if found:
        raise SlackError(
            "invalid_blocks", errors=found, response_metadata={"messages": [f"[ERROR] {problem}" for problem in found]}
        )
    return {"text": text, "blocks": with_block_ids(blocks)}


def _view(arguments: Json) -> Json:
    """Return the checked view; on the wire it is an object or, in JSON too, the JSON text of one."""
    view = arguments["view"]
    if isinstance(view, str):
        view = json.loads(view)
    if len(json.dumps(view)) > _LARGEST_VIEW_BYTES:
        raise SlackError("view_too_large")
    if view.get("type") != "modal":
        raise _invalid(["unsupported type: only a modal can be opened [json-pointer:/view/type]"])
    found = problems("modal", view)
    if found:
        raise _invalid(found)
    return dict(view)


def _invalid(messages: list[str]) -> SlackError:
    return SlackError(
        "invalid_arguments", response_metadata={"messages": [f"[ERROR] {message}" for message in messages]}
    )


def _true(arguments: Json, name: str) -> bool:
    return str(arguments.get(name, "")).lower() in ("1", "true")


def _cursor(user: str) -> str:
    """Return the cursor of the page that begins with a user."""
    return base64.b64encode(f"user:{user}".encode()).decode()


def _place(cursor: str, users: list[str]) -> int:
    """Return where the page of a cursor begins."""
    if not cursor:
        return 0
    try:
        return users.index(base64.b64decode(cursor, validate=True).decode().removeprefix("user:"))
    except ValueError:
        raise SlackError("invalid_cursor") from None
