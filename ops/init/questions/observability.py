"""Who hears of what is wrong: alarms by mail and in Slack, AWS Budgets, and Datadog."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter

from ops.init.kinds import number, setting, text, texts
from ops.init.questions.question import Context, Question, given, part
from stacks.settings import Alarms, Datadog, Providers, SlackChannelId, UsDollars

_DATADOG: Final = {"ap-": "ap1.datadoghq.com", "eu-": "datadoghq.eu"}


def _datadog_site(context: Context) -> str:
    home = context.home
    return next((site for start, site in _DATADOG.items() if home.startswith(start)), "datadoghq.com")


OBSERVABILITY: Final = (
    Question(
        "alarm_emails",
        "Addresses that get alarms",
        texts(setting(Alarms, "emails")),
        "AWS mails each a link to confirm.",
        optional=True,
    ),
    part(
        "datadog",
        "Metrics, dashboard and monitors in Datadog",
        "A record of each call goes there, without prompts and answers. Without it, make usage has the figures.",
    ),
    Question(
        "datadog.site",
        "Site of Datadog",
        text(setting(Providers, "dd_site")),
        "As in the address of its pages: datadoghq.com, datadoghq.eu, ap1.datadoghq.com, …",
        _datadog_site,
    ),
)
"""Of the company as a whole: alarms by mail, and Datadog."""

LISTENERS: Final = (
    Question(
        "alarm_channel",
        "Id of the channel that gets alarms",
        text(TypeAdapter(SlackChannelId)),
        "C… or G…; by Amazon Q Developer in chat applications.",
        when=given("slack"),
        optional=True,
    ),
    Question(
        "monthly_budget",
        "US dollars a month for the whole account, of which AWS Budgets tells",
        number(TypeAdapter(UsDollars)),
        "All that the account may cost.",
        optional=True,
    ),
    Question(
        "datadog_notify",
        "Whom Datadog's monitors tell",
        texts(setting(Datadog, "notify")),
        "In Datadog's words: @slack-channel, @pagerduty-service, @name@example.com.",
        when=given("datadog"),
        optional=True,
    ),
)
"""Of each environment: who hears of it."""
