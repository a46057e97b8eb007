"""Who is told of what: alarms, the account's budget, and Datadog's monitors."""

from typing import Annotated, Self

from pydantic import model_validator

from stacks.settings.values import (
    MailAddress,
    Percent,
    Settings,
    SlackChannelId,
    SlackWorkspaceId,
    UsDollars,
    like,
    once,
)


class Listeners(Settings):
    """Who is told: mail addresses, and a channel of Slack (`workspace` T…, `channel` C… or G…).

    The channel is served by Amazon Q Developer in chat applications, which somebody lets into the workspace once, in
    AWS's console.
    """

    emails: Annotated[tuple[MailAddress, ...], once("an address")] = ()
    workspace: SlackWorkspaceId | None = None
    channel: SlackChannelId | None = None

    @model_validator(mode="after")
    def _whole_place(self) -> Self:
        if (self.workspace is None) != (self.channel is None):
            raise ValueError("workspace and channel name one place in Slack together: set both or neither")
        return self


class Alarms(Listeners):
    """Who hears of alarms, and the `monthly_budget`.

    That is what all of the account may cost in a month, in US dollars, before AWS Budgets says so; without it there is
    no budget.
    """

    monthly_budget: UsDollars | None = None


class Datadog(Settings):
    """Metrics, dashboard and monitors in Datadog, made from the records of calls, in the organisation of the API key.

    Monitors tell `notify`, in Datadog's words: @slack-channel, @pagerduty-service, @name@example.com. They say when a
    person's day costs three times the same day a week before and `spend_jump` US dollars more, or four times
    `spend_jump` whatever was before, when `error_percent` of a provider's answers in 15 minutes are errors, and when a
    person has used `budget_percent` of a budget.
    """

    notify: tuple[
        Annotated[
            str,
            like(
                r"@[A-Za-z0-9._@+-]{2,100}", "no listener of Datadog: write it as @slack-channel or @name@example.com"
            ),
        ],
        ...,
    ] = ()
    spend_jump: UsDollars = 20
    error_percent: Percent = 10
    budget_percent: Percent = 80
