"""The people of the simulated Slack workspace, as Slack's `user` objects tell of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from local.outside.records import Json

OTHER_TEAM = "T0STRANGERS"
SLACKBOT = "USLACKBOT"
_ZONES = {"ja-JP": ("Asia/Tokyo", "Japan Standard Time", 32400)}
_OTHER_ZONE = ("Europe/London", "Greenwich Mean Time", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One member. `role` is the name by which tests and the page find them; `email` None is a profile without one."""

    id: str
    role: str
    name: str
    email: str | None
    team: str
    locale: str = "ja-JP"
    restricted: bool = False  # a guest of several channels
    ultra_restricted: bool = False  # a guest of one channel; Slack sets `is_restricted` for them too
    bot: bool = False
    stranger: bool = False  # of another workspace, met in a shared channel
    email_confirmed: bool | None = True  # None: Slack's object has no such member
    deleted: bool = False
    updated: int = 0
    organisation: str = ""  # E…, where the app is installed in a whole organisation

    @property
    def handle(self) -> str:
        """The user name, from the display name."""
        return self.name.lower().replace(" ", ".")

    def user(self, *, with_locale: bool, with_email: bool) -> Json:
        """Return Slack's user object, of the shape in docs.slack.dev/reference/objects/user-object.

        A deactivated user has none of the `is_…` members that concern their rights, nor a time zone.
        """
        user: Json = {
            "id": self.id,
            "team_id": self.team,
            "name": self.handle,
            "deleted": self.deleted,
            "profile": self._profile(with_email=with_email),
            "is_bot": self.bot,
            "is_app_user": False,
            "updated": self.updated,
        }
        if not self.deleted:
            zone, label, offset = _ZONES.get(self.locale, _OTHER_ZONE)
            user |= {
                "color": "9f69e7",
                "real_name": self.name,
                "tz": zone,
                "tz_label": label,
                "tz_offset": offset,
                "is_admin": False,
                "is_owner": False,
                "is_primary_owner": False,
                "is_restricted": self.restricted or self.ultra_restricted,
                "is_ultra_restricted": self.ultra_restricted,
                **({} if self.email_confirmed is None else {"is_email_confirmed": self.email_confirmed}),
                "who_can_share_contact_card": "EVERYONE",
            }
        if self.stranger:
            user["is_stranger"] = True
        if self.organisation:
            user["enterprise_user"] = {"enterprise_id": self.organisation, "id": self.id, "teams": [self.team]}
        if with_locale:
            user["locale"] = self.locale
        return user

    def _profile(self, *, with_email: bool) -> Json:
        first, _, last = self.name.partition(" ")
        profile: Json = {
            "title": "",
            "phone": "",
            "skype": "",
            "real_name": self.name,
            "real_name_normalized": self.name,
            "display_name": self.handle,
            "display_name_normalized": self.handle,
            "fields": None,
            "status_text": "",
            "status_emoji": "",
            "status_expiration": 0,
            "avatar_hash": "g" + sha256(self.id.encode()).hexdigest()[:11],
            "first_name": first,
            "last_name": last,
            "team": self.team,
        }
        if with_email and self.email is not None:
            profile["email"] = self.email
        if self.bot:
            profile |= {"bot_id": f"B{self.id[1:]}", "api_app_id": "A0OTHERBOTS", "always_active": True}
        return profile


def cast(team: str, mail_domains: Sequence[str], organisation: str = "") -> list[Person]:
    """Return one person for each case that an account request can be of, and Slackbot.

    They are of the first mail domain, but for one of the last. Slackbot is listed among every workspace's users, and is
    no bot by its `is_bot`.
    """
    domain, now = mail_domains[0], int(time.time())

    def make(role: str, name: str, *, email: str | None = "", **more: object) -> Person:
        id_ = f"U0{sha256(role.encode()).hexdigest()[:9].upper()}"
        address = f"{name.lower().replace(' ', '.')}@{domain}" if email == "" else email
        values: dict[str, object] = {"team": team, "organisation": organisation, "updated": now, **more}
        return Person(id=id_, role=role, name=name, email=address, **values)  # type: ignore[arg-type]

    return [
        make("japanese", "Yuki Sato"),
        make("english", "Emma Clark", locale="en-GB", email=f"emma.clark@{mail_domains[-1]}"),
        make("approver", "Kenji Tanaka"),
        make("single_channel_guest", "Gina Single", locale="en-US", ultra_restricted=True),
        make("multi_channel_guest", "Gary Multi", locale="en-US", restricted=True),
        make("bot", "Deploy Bot", locale="en-US", email=None, bot=True),
        make("stranger", "Sofia Elsewhere", locale="en-US", team=OTHER_TEAM, organisation="", stranger=True),
        # By single sign-on: github.com/getsentry/eng-pipes/pull/142, and github.com/singer-io/tap-slack/pull/21
        make("unconfirmed", "Umeko Mori", email_confirmed=False),
        make("single_sign_on", "Sora Hayashi", email_confirmed=None),
        make("foreign_mail", "Frank Private", locale="en-US", email="frank.private@mail.example.net"),
        make("deactivated", "Daichi Ono", deleted=True),
        Person(id=SLACKBOT, role="slackbot", name="Slackbot", email=None, team=team, locale="en-US", updated=0),
    ]
