"""Slack's Web API as the bot: its client, what its errors mean, and whom it has in a workspace or a user group.

An app that is installed for an organization has one token for all of its workspaces, and has to name the one that a
call is about: https://docs.slack.dev/reference/methods/users.list and /usergroups.users.list, "Required if org token is
used".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from types import MappingProxyType
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.web import SlackResponse

from shared.errors import RefusedError, UnavailableError

# https://docs.slack.dev/reference/methods/chat.postMessage, /users.list and /web-api/rate-limits
_LATER = {"fatal_error", "internal_error", "ratelimited", "rate_limited", "request_timeout", "service_unavailable"}
_TOKEN = {"not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired"}
_NONE: Mapping[str, str] = MappingProxyType({})
_WORD = re.compile(r"[a-z0-9_]+")


def client(token: str, *, timeout: int, waits: int) -> WebClient:
    """Return Slack's Web API, with a time-out in seconds for a call.

    A rate limit is waited out, as long as Slack says, `waits` times a call. A broken connection is not tried again at
    once: the call may have been done, and a message would be there twice.
    """
    return WebClient(token=token, timeout=timeout, retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=waits)])


@contextmanager
def slack_errors(what: str, remedies: Mapping[str, str] = _NONE) -> Iterator[None]:
    """Turn what slack_sdk and its transport raise into `UnavailableError` and `RefusedError`.

    `remedies` are what to do, by Slack's word for what is wrong.
    """
    try:
        yield
    except SlackApiError as error:
        answer, status = error.response, getattr(error.response, "status_code", 200)
        reason = str(answer.get("error", "")) if hasattr(answer, "get") else ""
        if not _WORD.fullmatch(reason):  # a page of somebody else's, or what else slack_sdk could not read
            reason = ""
        if status >= 429 or reason in _LATER or not reason:
            raise UnavailableError(f"Slack did not answer {what} ({reason or status})") from None
        if reason in _TOKEN:  # no fault of what was asked: it is done once somebody has stored another one
            remedy = "store the bot's token anew as the secret SLACK_BOT_TOKEN (make secrets)"
            raise UnavailableError(f"Slack refused {what}: {reason}: {remedy}") from None
        remedy = remedies.get(reason, "")
        if reason == "missing_scope":
            remedy = f"give the app the scope {answer.get('needed')} (make slack-manifest), and install it again"
        sentence = f"Slack refused {what}: {reason}{f': {remedy}' if remedy else ''}"
        raise RefusedError(sentence, status=status, reason=reason) from None
    # The last three are slack_sdk's, of an answer that is not as it reads it.
    except (SlackClientError, HTTPException, OSError, ValueError, TypeError, LookupError) as error:
        raise UnavailableError(f"Slack did not answer {what} ({type(error).__name__})") from error


def part(answer: SlackResponse, name: str, what: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return what Slack's answer has under a name.

    Raises
    ------
    UnavailableError
        It has nothing there: whoever said `ok` is not Slack, and what was asked for may not be done.
    """
    if answer.get(name) is None:
        raise UnavailableError(f"Slack's answer to {what} has no {name}")
    return answer[name]


def workspaces(slack: WebClient) -> list[str | None]:
    """Return an organization's workspaces that have the app (T…), each of which has to be named to its token."""
    return [str(team["id"]) for team in _pages("auth.teams.list", "teams", slack.auth_teams_list)]


def members(
    slack: WebClient, group: str, where: Iterable[str | None], remedies: Mapping[str, str] = _NONE
) -> tuple[str | None, list[str]]:
    """Return the first of the workspaces that a user group (S…) is in, and the Slack users of the group.

    Raises
    ------
    UnavailableError, RefusedError
        Slack did not answer, or refused; none of the workspaces has the group.
    """
    refused = RefusedError("Slack has added the app to no workspace of the organization: its owner does that")
    for workspace in where:
        try:
            with slack_errors(f"usergroups.users.list of {group}", remedies):
                answer = slack.usergroups_users_list(usergroup=group, team_id=workspace)
            return workspace, list(part(answer, "users", "usergroups.users.list"))
        except RefusedError as error:
            if error.reason != "no_such_subteam":
                raise
            refused = error
    raise refused


def everyone(slack: WebClient, workspace: str | None, *, page: int) -> Iterator[dict[str, Any]]:
    """Return Slack's user objects of a workspace, deactivated ones too, in pages of so many; read as far as needed."""
    yield from _pages("users.list", "members", slack.users_list, limit=page, team_id=workspace)


def _pages(method: str, name: str, call: Callable[..., SlackResponse], **arguments: object) -> Iterator[Any]:
    cursor = ""
    while True:
        with slack_errors(method):
            answer = call(cursor=cursor, **arguments)
        yield from part(answer, name, method)
        cursor = (answer.get("response_metadata") or {}).get("next_cursor", "")
        if not cursor:
            return
