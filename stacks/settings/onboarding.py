"""What people get: the gateway's mails, and accounts that they ask for in Slack."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stacks.settings.values import (
    HostName,
    MailAddress,
    Settings,
    SlackChannelId,
    SlackGroupId,
    SlackWorkspaceId,
    TeamName,
    UsDollars,
    like,
)


class Email(Settings):
    """The mails of the gateway: invitations, and LiteLLM's notices about budgets. The sender is `llm-gateway@<domain>`.

    Answers go to `reply_to`. `dmarc_policy` is what receivers are asked to do with a forged mail of the domain, and
    `dmarc_reports` where they report it. Another `smtp_key` makes a new key for LiteLLM's notices, by SMTP, and removes
    the one that there was: change it to rotate the key.
    """

    reply_to: MailAddress | None = None
    dmarc_policy: Literal["none", "quarantine", "reject"] = "quarantine"
    dmarc_reports: MailAddress | None = None
    smtp_key: Annotated[
        str, like(r"[A-Za-z0-9-]{1,32}", "no label of a key: use at most 32 letters, digits and hyphens")
    ] = "1"


class Onboarding(Settings):
    """Accounts that people ask for in Slack, and that close when they leave.

    `command` is the slash command, another one in each environment of one workspace. `workspace` (T… or E…),
    `audit_channel` (C… or G…) and `approver_group` (S…) are Slack's ids. A mail address is taken from the Slack profile
    and must be of `mail_domains`. An account starts with `max_budget` US dollars per `budget_duration`, for `models`
    (all of config.yaml if none is named), with at most `tpm_limit` tokens and `rpm_limit` requests a minute. Who asks
    for more, up to `budget_ceiling`, waits for one of `approver_group`; without such a group nobody gets more. Accounts
    of `protected` addresses never close by themselves; with `dry_run` none does, and the audit channel is told which
    would. The daily sweep closes no more than `close_limit` at once.
    """

    command: Annotated[
        str, like(r"/[a-z0-9_-]{1,31}", "no slash command: use a / and at most 31 small letters, digits, - and _")
    ] = "/llm-account"
    workspace: SlackWorkspaceId
    audit_channel: SlackChannelId
    approver_group: SlackGroupId | None = None
    mail_domains: Annotated[tuple[HostName, ...], Field(min_length=1)]
    teams: Annotated[tuple[TeamName, ...], Field(min_length=1, max_length=100)]  # Slack's most options in a select
    max_budget: UsDollars = 100
    budget_ceiling: UsDollars = 1000
    budget_duration: Annotated[
        str, like(r"[1-9]\d{0,2}(h|d|mo)", "no time for a budget: write it as 24h, 30d or 1mo")
    ] = "30d"
    models: tuple[str, ...] = ()
    tpm_limit: Annotated[int, Field(ge=1)] | None = None
    rpm_limit: Annotated[int, Field(ge=1)] | None = None
    protected: tuple[MailAddress, ...] = ()
    dry_run: bool = False
    close_limit: Annotated[int, Field(ge=1)] = 20

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_budget > self.budget_ceiling:
            raise ValueError(
                f"max_budget {self.max_budget:.10g} is above budget_ceiling {self.budget_ceiling:.10g}: swap them or "
                "raise budget_ceiling"
            )
        for name in ("teams", "mail_domains"):
            values: tuple[str, ...] = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} names one twice ({', '.join(values)}): name each once")
        return self
