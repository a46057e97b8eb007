"""People and their accounts: what they may use, and how they ask for an account in Slack."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter

from ops.init.kinds import YES_NO, RefusedError, each, number, setting, text, texts
from ops.init.questions.question import Context, Question, always, given, part
from stacks.settings import Email, Onboarding, SlackWorkspaceId, TeamName, UsDollars


def _mail_domains(context: Context) -> list[str] | None:
    zone = context.last("hosted_zone")
    return [zone.removeprefix(f"{context.answers.named[-1]}.")] if zone else None


PEOPLE: Final = (
    Question(
        "budget",
        "US dollars that a person may use in 30 days, unless told otherwise",
        number(TypeAdapter(UsDollars)),
        "What a new account starts with.",
        always(100),
    ),
    Question(
        "reply_to",
        "Address that answers to the gateway's mails go to",
        text(setting(Email, "reply_to")),
        "Such as it-help@example.com.",
        optional=True,
    ),
    part(
        "slack",
        "Use Slack",
        "For accounts, alarms, reports.",
    ),
    Question(
        "slack.workspace",
        "Id of the workspace",
        text(TypeAdapter(SlackWorkspaceId)),
        "T…, or E… of an organization: it is in the address of a channel in the browser.",
    ),
    Question(
        "slack.alerts",
        "Alerts of LiteLLM by an incoming web hook",
        YES_NO,
        "Throttled regions, failed spend tracking, budgets: the web hook's address is a secret.",
        always(True),
    ),
    part(
        "onboarding",
        "Accounts on request from Slack",
        "People ask for an account by a slash command or a workflow, and get an invitation by mail.",
        when=given("slack"),
    ),
    Question(
        "onboarding.audit_channel",
        "Id of the channel that hears of every account",
        text(setting(Onboarding, "audit_channel")),
        "C… or G…, from the channel's details.",
    ),
    Question(
        "onboarding.approver_group",
        "Id of the user group that approves larger budgets",
        text(setting(Onboarding, "approver_group")),
        "S…; with none nobody gets a larger one.",
        optional=True,
    ),
    Question(
        "onboarding.mail_domains",
        "Domains of the mail addresses that get an account",
        texts(setting(Onboarding, "mail_domains")),
        "As they are in the Slack profiles.",
        _mail_domains,
    ),
    Question(
        "onboarding.teams",
        "Teams to choose from",
        each(TypeAdapter(TeamName)),
        "Usage counts for one of them; small letters, digits and hyphens.",
        always(["everyone"]),
    ),
    Question(
        "onboarding.budget_ceiling",
        "US dollars that can be asked for at most",
        number(setting(Onboarding, "budget_ceiling")),
        "What is above the usual budget has to be approved.",
        lambda context: min(max(1000, 10 * (context.get("budget") or 100)), 1_000_000),
    ),
)
"""Of the company as a whole: budgets, mail, Slack, and accounts on request from there."""


def _command(context: Context) -> str:
    taken = {own.get("slack_command") for own in context.earlier.values()}
    short = "/llm-account"
    return short if context.is_last and short not in taken else f"{short}-{context.name}"


def _check_command(context: Context, value: str) -> None:
    """One workspace has one app of a slash command."""
    for name, own in context.earlier.items():
        if own.get("slack_command") == value:
            raise RefusedError(f"{value} is the command of {name}: give each environment its own")


COMMAND: Final = Question(
    "slack_command",
    "Slash command",
    text(setting(Onboarding, "command")),
    "Another one in each environment.",
    _command,
    when=given("onboarding"),
    check=_check_command,
)
"""Of each environment: Slack has one command for one app."""
