"""What the functions do in Slack: post to a channel, with files, and find out who is in a user group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.web import SlackResponse

from usage import environment
from usage.errors import RefusedError, UnavailableError

TIMEOUT = 60  # seconds for one call; an upload of tens of megabytes is one
WAITS = 10  # how often one call waits out Slack's rate limit, which allows some 20 calls of users.list a minute
PAGE = 999  # of users.list, the most that Slack gives
# https://docs.slack.dev/reference/methods/chat.postMessage and /web-api/rate-limits
_LATER = {"fatal_error", "internal_error", "ratelimited", "rate_limited", "request_timeout", "service_unavailable"}
_TOKEN = "store the bot's token anew as the secret SLACK_BOT_TOKEN (make secrets)"  # noqa: S105 - a sentence
_REMEDIES = {
    "not_in_channel": "invite the app to the channel (/invite, or the channel's Integrations)",
    "channel_not_found": "set report.channel to a channel's id (C…), and invite the app to it if it is private",
    "is_archived": "set report.channel to a channel that is not archived",
    "no_such_subteam": "set the plan's seats to the id of a user group (S…), of a workspace that has the app",
    "not_authed": _TOKEN,
    "invalid_auth": _TOKEN,
    "account_inactive": _TOKEN,
    "token_revoked": _TOKEN,
    "token_expired": _TOKEN,
}


class File(NamedTuple):
    """A file for a thread. `alt_text` says what a picture shows, in at most 1000 characters."""

    name: str
    content: bytes
    title: str
    alt_text: str = ""


@dataclass(frozen=True)
class Holder:
    """Who is in a user group: a Slack user and their mail address in lower case, "" if the profile has none."""

    user: str
    email: str


class Channel:
    """A channel that the app is a member of, named by its id.

    Every method raises `UnavailableError` where a later try may help and `RefusedError`, whose sentence says what to
    do, where it does not.
    """

    def __init__(self, channel: str, slack: WebClient | None = None) -> None:
        self._channel, self._slack = channel, slack or client()

    def post(self, text: str, blocks: Sequence[dict[str, Any]] | None = None, thread_ts: str | None = None) -> str:
        """Post a message and return its `ts`; `text` is what notifications show of one with blocks."""
        with slack_errors("chat.postMessage"):
            answer = self._slack.chat_postMessage(
                channel=self._channel,
                text=text,
                blocks=list(blocks) if blocks else None,
                thread_ts=thread_ts,
                unfurl_links=False,
                unfurl_media=False,
            )
        return str(answer["ts"])

    def upload(self, files: Sequence[File | tuple[str, bytes, str]], thread_ts: str, comment: str = "") -> None:
        """Share files in a message's thread, all in one reply."""
        uploads = [
            {"filename": file.name, "content": file.content, "title": file.title, "alt_txt": file.alt_text or None}
            for file in (File(*file) for file in files)
        ]
        with slack_errors("the upload of files"):
            self._slack.files_upload_v2(
                file_uploads=uploads, channel=self._channel, thread_ts=thread_ts, initial_comment=comment or None
            )


def holders(groups: Iterable[str], slack: WebClient | None = None) -> dict[str, list[Holder]]:
    """Return who is in each user group (usergroups.users.list), with their mail addresses (users.list).

    One list of everybody costs fewer calls than users.info for each, and is read no further than needed. The token of
    an app that is installed for an organization has to name a workspace in both: the one that the group is found in.

    Raises
    ------
    UnavailableError, RefusedError
        Slack did not answer, or refused.
    """
    slack = slack or client()
    groups = tuple(groups)
    workspaces = _workspaces(slack) if groups else []
    found = {group: _members(slack, group, workspaces) for group in groups}
    members = {group: users for group, (_, users) in found.items()}
    wanted = {user for users in members.values() for user in users}
    addresses: dict[str, str] = {}
    places = dict.fromkeys(workspace for workspace, users in found.values() if users)
    for user in chain.from_iterable(_everyone(slack, place) for place in places):
        if user["id"] in wanted:
            addresses[user["id"]] = str((user.get("profile") or {}).get("email") or "").strip().lower()
            if len(addresses) == len(wanted):
                break
    return {group: [Holder(user, addresses.get(user, "")) for user in users] for group, users in members.items()}


def client() -> WebClient:
    """Return Slack's Web API as the bot. A rate limit is waited out, as long as Slack says.

    A broken connection is not tried again at once: the call may have been done, and a message would be there twice.
    """
    return WebClient(
        token=environment.secret("SLACK_BOT_TOKEN"),
        timeout=TIMEOUT,
        retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=WAITS)],
    )


@contextmanager
def slack_errors(what: str) -> Iterator[None]:
    """Turn what slack_sdk and its transport raise into `UnavailableError` and `RefusedError`."""
    try:
        yield
    except SlackApiError as error:
        answer, status = error.response, getattr(error.response, "status_code", 200)
        reason = str(answer.get("error", "")) if hasattr(answer, "get") else ""
        if status >= 429 or reason in _LATER:
            raise UnavailableError(f"Slack did not answer {what} ({reason or status})") from error
        remedy = _REMEDIES.get(reason, "")
        if reason == "missing_scope":
            remedy = f"give the app the scope {answer.get('needed')} (make slack-manifest), and install it again"
        sentence = f"Slack refused {what}: {reason}{f': {remedy}' if remedy else ''}"
        raise RefusedError(sentence, reason=reason) from error
    except (SlackClientError, OSError) as error:
        raise UnavailableError(f"Slack did not answer {what} ({type(error).__name__})") from error


def _workspaces(slack: WebClient) -> list[str | None]:
    """What is to be named as the workspace: each of the organization's that has the app, or nothing."""
    with slack_errors("auth.test"):
        if not slack.auth_test().get("is_enterprise_install"):
            return [None]
    return [str(team["id"]) for page in _pages("auth.teams.list", slack.auth_teams_list) for team in page["teams"]]


def _members(slack: WebClient, group: str, workspaces: Iterable[str | None]) -> tuple[str | None, list[str]]:
    """The workspace that a user group is in, and who is in the group."""
    refused = RefusedError("Slack has added the app to no workspace of the organization: its owner does that")
    for workspace in workspaces:
        try:
            with slack_errors(f"usergroups.users.list of {group}"):
                answer = slack.usergroups_users_list(usergroup=group, team_id=workspace)
        except RefusedError as error:
            if error.reason != "no_such_subteam":
                raise
            refused = error
        else:
            return workspace, list(answer.get("users") or ())
    raise refused


def _everyone(slack: WebClient, workspace: str | None) -> Iterator[dict[str, Any]]:
    for page in _pages("users.list", slack.users_list, limit=PAGE, team_id=workspace):
        yield from page.get("members") or ()


def _pages(method: str, call: Callable[..., SlackResponse], **arguments: object) -> Iterator[SlackResponse]:
    cursor = ""
    while True:
        with slack_errors(method):
            page = call(cursor=cursor, **arguments)
        yield page
        cursor = (page.get("response_metadata") or {}).get("next_cursor", "")
        if not cursor:
            return
