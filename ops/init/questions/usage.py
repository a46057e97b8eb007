"""Who uses what: the report in Slack, and the providers' bills that the costs are held against."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from ops.init.kinds import PLANS, number, setting, text, texts
from ops.init.questions.question import Context, Question, always, before, given, part
from stacks.settings import AnthropicBill, AzureBill, GeminiBill, GoogleBill, OpenAiBill, Report

TIMEZONES: Final = {
    "ap-northeast-1": "Asia/Tokyo",
    "ap-northeast-2": "Asia/Seoul",
    "ap-northeast-3": "Asia/Tokyo",
    "ap-south-1": "Asia/Kolkata",
    "ap-southeast-1": "Asia/Singapore",
    "ap-southeast-2": "Australia/Sydney",
    "ca-central-1": "America/Toronto",
    "eu-central-1": "Europe/Berlin",
    "eu-north-1": "Europe/Stockholm",
    "eu-west-1": "Europe/Dublin",
    "eu-west-2": "Europe/London",
    "eu-west-3": "Europe/Paris",
    "sa-east-1": "America/Sao_Paulo",
    "us-east-1": "America/New_York",
    "us-east-2": "America/New_York",
    "us-west-1": "America/Los_Angeles",
    "us-west-2": "America/Los_Angeles",
}
"""Where people are likely to work, by the region that they chose."""


def _hour(context: Context) -> int | None:
    """The first hour of a working day at which the day before is over in UTC."""
    zone = context.get("report.timezone") or "UTC"
    for hour in range(9, 24):
        try:
            Report(channel="C000000", timezone=zone, hour=hour)
        except ValidationError:
            continue
        return hour
    return None


def _export(bill: str) -> tuple[Question, ...]:
    """Where one of Google's bills is."""
    return (
        Question(
            f"bill.{bill}.table",
            "Table of the billing export",
            text(setting(GoogleBill, "table")),
            "project.dataset.table",
        ),
        Question(
            f"bill.{bill}.location",
            "Location of its dataset",
            text(setting(GoogleBill, "location")),
            "US, EU or a region of Google's.",
            always("US"),
        ),
    )


REPORT: Final = (
    part(
        "report",
        "A report of usage in Slack, each week and each month",
        "Who used what, who would be cheaper on a flat-rate plan; the app of the accounts posts it.",
        when=given("onboarding"),
    ),
    Question(
        "report.timezone",
        "Time zone",
        text(setting(Report, "timezone")),
        "Such as Asia/Tokyo or UTC.",
        lambda context: TIMEZONES.get(context.home, "UTC"),
    ),
    Question(
        "report.hour",
        "Hour of the day",
        number(setting(Report, "hour")),
        "After midnight in UTC, whose days the figures are of.",
        _hour,
    ),
    Question(
        "report.plans",
        "Flat-rate plans that people could be cheaper on",
        PLANS,
        "NAME | US DOLLARS A MONTH | MODELS | US DOLLARS OF USE INCLUDED | SLACK GROUP OF THOSE WHO HAVE ONE, the "
        "last two may be missing, with a semicolon between plans: Claude Team Premium | 125 | claude-* | 600",
        optional=True,
    ),
)
"""Of the company as a whole: when usage is told, and against which plans."""

BILL: Final = (
    part(
        "bill",
        "Hold the costs against the providers' bills each month",
        "An alarm tells of a difference.",
    ),
    part(
        "bill.azure",
        "Azure's too",
        "By an app registration that may read the subscription's costs.",
        when=given("azure"),
    ),
    *(
        Question(f"bill.azure.{name}", what, text(setting(AzureBill, name)), "Its id, of Microsoft Entra or Azure.")
        for name, what in (("tenant", "Tenant"), ("client", "Client"), ("subscription", "Subscription"))
    ),
    part(
        "bill.google",
        "Google's too",
        "By the billing export to BigQuery.",
        when=given("vertex"),
    ),
    *_export("google"),
    part(
        "bill.gemini",
        "The Gemini API's too",
        "By the billing export to BigQuery of the billing account that pays for the key.",
        when=given("gemini"),
    ),
    *_export("gemini"),
    Question(
        "bill.gemini.project",
        "Project of the API's key",
        text(setting(GeminiBill, "project")),
        "Its id, as AI Studio has it beside the key.",
    ),
    part(
        "bill.openai",
        "OpenAI's too",
        "By an admin key that may read the organization's costs.",
        when=given("openai"),
    ),
    Question(
        "bill.openai.projects",
        "Ids of the gateway's projects",
        texts(setting(OpenAiBill, "projects")),
        "proj_…, with a comma between several; nothing if the organization has no others.",
        optional=True,
    ),
    part(
        "bill.anthropic",
        "Anthropic's too",
        "By an admin key of the organization.",
        when=given("anthropic"),
    ),
    Question(
        "bill.anthropic.workspaces",
        "Ids of the gateway's workspaces",
        texts(setting(AnthropicBill, "workspaces")),
        "wrkspc_…, or default for the first one, with a comma between several; nothing if there are no others.",
        optional=True,
    ),
)
"""Of the company as a whole: whose bills, and how they are read."""

REPORT_CHANNEL: Final = Question(
    "report_channel",
    "Id of the channel that gets the report",
    text(setting(Report, "channel")),
    "C… or G…",
    before("report_channel"),
    when=given("report"),
)
"""Of each environment."""
