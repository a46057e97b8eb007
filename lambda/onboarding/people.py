"""What Slack knows of people: who somebody is, whether they may have an account, and who may approve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

from shared import slack
from slack_sdk import WebClient

from onboarding import environment
from onboarding.environment import Settings
from onboarding.errors import RefusedError

TIMEOUT = 10  # seconds for one call
PAGE = 500  # of users.list; Slack allows 999 and asks for 200 or so, which would be 50 calls for 10,000 people


def client(waits: int = 1) -> WebClient:
    """Return Slack's Web API as the bot. A rate limit is waited out, as long as Slack says, `waits` times a call."""
    return slack.client(environment.secret("SLACK_BOT_TOKEN"), timeout=TIMEOUT, waits=waits)


@dataclass(frozen=True, kw_only=True)
class Person:
    """A Slack user, as far as it matters here."""

    id: str
    email: str  # lower-case; "" if the profile has none
    locale: str = "en-US"
    utc_offset: int = 0  # seconds
    team: str = ""  # T…
    enterprise: str = ""  # E…, "" outside of an Enterprise organisation
    deleted: bool = False
    bot: bool = False
    guest: bool = False
    stranger: bool = False
    invited: bool = False

    @property
    def language(self) -> str:
        """`ja` or `en`."""
        return "ja" if self.locale.lower().startswith("ja") else "en"

    def local(self, moment: datetime) -> str:
        """Return a moment as this person's clock shows it."""
        there = moment.astimezone(timezone(timedelta(seconds=self.utc_offset)))
        return f"{there:%Y-%m-%d %H:%M} ({there.tzname()})"

    def of(self, workspace: str) -> bool:
        """Whether this is a user of the workspace (T…) or organisation (E…), not of one connected to it."""
        return not self.stranger and workspace == (self.enterprise if workspace.startswith("E") else self.team)


def refusal(person: Person, settings: Settings) -> str | None:
    """Return why this person gets no account, as the key of a sentence in texts.py; None if nothing is against it.

    Slack's `is_email_confirmed` is not asked for: it is false, or not there, for people who sign in by their company's
    single sign-on (github.com/getsentry/eng-pipes/pull/142). The invitation proves the address, as it is mailed there.
    """
    reasons = {
        "refused_deleted": person.deleted,
        "refused_bot": person.bot,
        "refused_elsewhere": not person.of(settings.workspace),
        "refused_guest": person.guest,
        "refused_invited": person.invited,
        "refused_no_email": not person.email,
        "refused_domain": person.email.rpartition("@")[2] not in settings.mail_domains,
    }
    return next((key for key, holds in reasons.items() if holds), None)


class People:
    """Slack's directory. Every method raises `UnavailableError` or `RefusedError`."""

    def __init__(self, web: WebClient, settings: Settings) -> None:
        self._slack, self._settings = web, settings

    def person(self, user: str) -> Person | None:
        """Return who a user id is (users.info); None if Slack does not show this workspace such a user."""
        try:
            with slack.slack_errors("users.info"):
                answer = self._slack.users_info(user=user, include_locale=True)
        except RefusedError as refused:
            if refused.reason in ("user_not_found", "user_not_visible"):
                return None
            raise
        return _person(slack.part(answer, "user", "users.info"))

    def may_approve(self, person: Person) -> bool:
        """Tell whether a person is in the group that approves, in whichever workspace of an organisation it is."""
        group = self._settings.approver_group
        return group is not None and person.id in slack.members(self._slack, group, self._workspaces)[1]

    def everyone(self) -> Iterator[Person]:
        """Return all users, deactivated ones too, of the workspace, or of the organisation's that have the app."""
        for workspace in self._workspaces:
            yield from map(_person, slack.everyone(self._slack, workspace, page=PAGE))

    @cached_property
    def _workspaces(self) -> list[str | None]:
        """What Slack is told where it asks for a workspace: nothing, unless the app is of an organisation."""
        return slack.workspaces(self._slack) if self._settings.workspace.startswith("E") else [None]


def _person(user: dict[str, Any]) -> Person:
    """Read Slack's user object: https://docs.slack.dev/reference/objects/user-object."""
    profile = user.get("profile") or {}
    return Person(
        id=user["id"],
        email=str(profile.get("email") or "").strip().lower(),
        locale=str(user.get("locale") or "en-US"),
        utc_offset=int(user.get("tz_offset") or 0),
        team=str(user.get("team_id") or ""),
        enterprise=str((user.get("enterprise_user") or {}).get("enterprise_id") or user.get("enterprise_id") or ""),
        deleted=bool(user.get("deleted")),
        # Slackbot is the one bot that does not say so.
        bot=bool(
            user.get("is_bot") or user.get("is_app_user") or user.get("is_workflow_bot") or user["id"] == "USLACKBOT"
        ),
        guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
        stranger=bool(user.get("is_stranger")),
        invited=bool(user.get("is_invited_user")),
    )
