"""What the functions do in Slack: post to a channel, with files, and find out who is in a user group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from aws_lambda_powertools import Logger
from shared import slack
from slack_sdk import WebClient

from usage import environment
from usage.errors import RefusedError, UnavailableError

TIMEOUT = 60  # seconds for one call; an upload of tens of megabytes is one
WAITS = 10  # how often one call waits out Slack's rate limit, which allows some 20 calls of users.list a minute
UPLOADS = 2  # attempts; files that were not shared nobody sees
PAGE = 999  # of users.list, the most that Slack gives
_REMEDIES = {
    "not_in_channel": "invite the app to the channel (/invite, or the channel's Integrations)",
    "channel_not_found": "set report.channel to a channel's id (C…), and invite the app to it if it is private",
    "is_archived": "set report.channel to a channel that is not archived",
    "no_such_subteam": "set the plan's seats to the id of a user group (S…), of a workspace that has the app",
}

logger = Logger(child=True)


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

    def __init__(self, channel: str, web: WebClient | None = None) -> None:
        self._channel, self._slack = channel, web or client()

    def post(self, text: str, blocks: Sequence[dict[str, Any]] | None = None, thread_ts: str | None = None) -> str:
        """Post a message and return its `ts`; `text` is what notifications show of one with blocks."""
        with slack.slack_errors("chat.postMessage", _REMEDIES):
            answer = self._slack.chat_postMessage(
                channel=self._channel,
                text=text,
                blocks=list(blocks) if blocks else None,
                thread_ts=thread_ts,
                unfurl_links=False,
                unfurl_media=False,
            )
        return str(slack.part(answer, "ts", "chat.postMessage"))

    def upload(self, files: Sequence[File | tuple[str, bytes, str]], thread_ts: str, comment: str = "") -> None:
        """Share files in a message's thread, all in one reply."""
        uploads = [
            {"filename": file.name, "content": file.content, "title": file.title, "alt_txt": file.alt_text or None}
            for file in (File(*file) for file in files)
        ]
        with slack.slack_errors("the upload of files", _REMEDIES):
            answer = self._slack.files_upload_v2(
                file_uploads=uploads, channel=self._channel, thread_ts=thread_ts, initial_comment=comment or None
            )
        slack.part(answer, "files", "the upload of files")


def share(channel: Channel, files: Sequence[File], thread: str, sorry: Callable[[str], str]) -> int:
    """Share files in a thread and return how many there are in it; with none, `sorry` makes a sentence of the reason.

    Nothing is raised: the message is there, and whoever tried again would post it twice.
    """
    reason = ""
    for _ in range(UPLOADS if files else 0):
        try:
            channel.upload(files, thread)
            return len(files)
        except (RefusedError, UnavailableError) as error:
            logger.error("the files could not be shared", reason=str(error))
            reason = str(error)
            if isinstance(error, RefusedError):
                break
    if reason:
        try:
            channel.post(sorry(reason), thread_ts=thread)
        except (RefusedError, UnavailableError) as error:
            logger.error("the thread could not be told either", reason=str(error))
    return 0


def holders(groups: Iterable[str], web: WebClient | None = None) -> dict[str, list[Holder]]:
    """Return who is in each user group (usergroups.users.list), with their mail addresses (users.list).

    One list of everybody costs fewer calls than users.info for each, and is read no further than needed. The token of
    an app that is installed for an organization has to name a workspace in both: the one that the group is found in.

    Raises
    ------
    UnavailableError, RefusedError
        Slack did not answer, or refused.
    """
    web = web or client()
    groups = tuple(groups)
    workspaces = _workspaces(web) if groups else []
    found = {group: slack.members(web, group, workspaces, _REMEDIES) for group in groups}
    members = {group: users for group, (_, users) in found.items()}
    wanted = {user for users in members.values() for user in users}
    addresses: dict[str, str] = {}
    places = dict.fromkeys(workspace for workspace, users in found.values() if users)
    for user in chain.from_iterable(slack.everyone(web, place, page=PAGE) for place in places):
        if user["id"] in wanted:
            addresses[user["id"]] = str((user.get("profile") or {}).get("email") or "").strip().lower()
            if len(addresses) == len(wanted):
                break
    return {group: [Holder(user, addresses.get(user, "")) for user in users] for group, users in members.items()}


def client() -> WebClient:
    """Return Slack's Web API as the bot. A rate limit is waited out, as long as Slack says."""
    return slack.client(environment.secret("SLACK_BOT_TOKEN"), timeout=TIMEOUT, waits=WAITS)


def _workspaces(web: WebClient) -> list[str | None]:
    """What Slack is told where it asks for a workspace: nothing, unless the app is of an organization."""
    with slack.slack_errors("auth.test", _REMEDIES):
        installed_for_all = web.auth_test().get("is_enterprise_install")
    return slack.workspaces(web) if installed_for_all else [None]
