"""What promotes releases from environment to environment, and who hears of it."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter

from ops.init.kinds import YES_NO, choice, setting, text, texts
from ops.init.questions.question import Condition, Question, always, check_among, given, part
from stacks.settings import Region, Releases


def _by(word: str) -> Condition:
    return lambda context: context.get("releases.by") == word


RELEASES: Final = (
    part(
        "releases",
        "Promote releases from environment to environment",
        "no: people deploy by make deploy. It can be added at any time.",
    ),
    Question(
        "releases.by",
        "By codepipeline or github",
        choice("codepipeline", "github"),
        "codepipeline: AWS CodePipeline. github: the workflows of this repository in GitHub Actions, by OIDC.",
        default=always("codepipeline"),
    ),
    Question(
        "releases.account",
        "AWS account where releases are built",
        text(setting(Releases, "account")),
        "One of its own, or an environment's.",
        default=lambda context: context.last("account"),
    ),
    Question(
        "releases.region",
        "Its region",
        text(TypeAdapter(Region)),
        "Of the image and the pipeline.",
        default=lambda context: context.home,
    ),
    Question(
        "releases.repository", "Repository on GitHub", text(setting(Releases, "repository")), "owner/name of your copy."
    ),
    Question(
        "releases.branch",
        "Branch whose commits are released",
        text(setting(Releases, "branch")),
        "With GitHub Actions it has to be main.",
        default=always("main"),
    ),
    Question(
        "releases.connection_arn",
        "ARN of the connection to GitHub",
        text(setting(Releases, "connection_arn")),
        "Of CodeConnections. With none yet, releases are left out of the file until you answer this anew.",
        when=_by("codepipeline"),
        optional=True,
    ),
    Question(
        "releases.oidc_provider",
        "The accounts have GitHub's OIDC provider already",
        YES_NO,
        "An account has one at most; no makes it.",
        default=always(False),
        when=_by("github"),
    ),
    Question(
        "releases.approved",
        "Environments that wait for a person each time",
        texts(setting(Releases, "approved")),
        "The others wait only for what loses data or widens access.",
        default=lambda context: list(context.answers.named[-1:]),
        check=lambda context, value: check_among(value, context.answers.named),
        optional=True,
    ),
    Question(
        "releases.emails",
        "Addresses that hear of the pipeline",
        texts(setting(Releases, "emails")),
        "AWS mails each a link to confirm.",
        default=lambda context: context.get("alarm_emails"),
        when=_by("codepipeline"),
        optional=True,
    ),
    Question(
        "releases.channel",
        "Id of the Slack channel that hears of it",
        text(setting(Releases, "channel")),
        "C… or G…",
        when=lambda context: _by("codepipeline")(context) and given("slack")(context),
        optional=True,
    ),
)
"""Of the company as a whole: whether releases are promoted, by what, from where, and whom they wait for."""
