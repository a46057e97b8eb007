"""Compares, every month, what LiteLLM counted with what the providers have on the bill, and tells the difference.

It goes to the log and, as `BillDifferencePercent`, to CloudWatch, where an alarm watches it; a channel of Slack is told
what to look at first. A provider whose bill cannot be read hides none of the others: it is named, and the run fails at
its end, so that the alarm on the function's errors tells too. Lambda's next attempts then read and measure anew, but
post no second message as long as the execution environment lives. One whose bill nobody meant to read, because there is
no interface to it or no setting for it, is named with what LiteLLM counted, and fails nothing.

The bill is that of a whole account, subscription, organization or billing export, but for the projects or workspaces
that the settings name: what is used there past the gateway is on it as well. Models or regions that the gateway has not
used are left out of the percentages and told of; calls of the same models in the same regions cannot be told apart.

Integrates with LiteLLM (the daily exports by user and by tag), Parameter Store, Cost Explorer, Azure's Cost Management,
BigQuery, the administration APIs of OpenAI and Anthropic, CloudWatch (embedded metrics in the log) and Slack.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.typing import LambdaContext

from usage import anthropic_bill, aws_bill, azure_bill, bill_texts, google_bill, openai_bill
from usage.bill_comparison import Comparison, Count, compare, count
from usage.bill_lines import profile_arn
from usage.bill_providers import provider_of, title_of, why_not_compared
from usage.environment import Bill, bill, places, report, secret
from usage.errors import RefusedError, UnavailableError
from usage.figures import Period
from usage.litellm import LiteLlm
from usage.slack import Channel, File, share
from usage.texts import no_files

NAMESPACE = "LiteLlmGateway"
METRIC = "BillDifferencePercent"

logger = Logger()
_posted: set[tuple[str, str]] = set()  # by this process: the month and the event's time


@logger.inject_lambda_context(log_event=False, clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Compare the month before; return its name and each compared provider's largest difference in percent.

    Parameters
    ----------
    event
        `time`: when it was due, in ISO 8601 (`<aws.scheduler.scheduled-time>` of EventBridge Scheduler); now, if it is
        not given.

    Raises
    ------
    ValueError
        The time is none, or the environment has no bill.
    RefusedError, UnavailableError
        LiteLLM or Slack did not answer or refused, or a provider's bill could not be read: the others have been
        compared.
    """
    settings = bill()
    if settings is None:
        raise ValueError("The environment has no bill: give it bill=Bill(…) in company/environments.py.")
    due = str(event.get("time") or "")
    period = Period.ended_before("month", _time(due))
    client = LiteLlm(places().litellm_url, secret("USAGE_KEY"))
    account = context.invoked_function_arn.split(":")[4]
    counts = _count(client, period, account)
    readers = _readers(period, settings, account)
    compared, unread = _compare_all(readers, counts)
    others = {provider: one for provider, one in counts.items() if provider not in readers}
    for one in compared:
        _measure(one, settings.tolerance_percent)
    for provider, other in others.items():
        figures = {"counted": round(other.cost, 4), "reason": why_not_compared(provider)}
        logger.info("not compared", extra={"provider": provider, **figures})
    if not due or (period.name, due) not in _posted:
        _post(period, compared, unread, others, settings)
        _posted.add((period.name, due))
    if unread:
        raise RefusedError(_reasons(unread))
    return {"month": period.name, "percent": {one.provider: round(one.worst, 2) for one in compared}}


def _count(client: LiteLlm, period: Period, account: str) -> dict[str, Count]:
    """What LiteLLM counted, by provider; how much its figures by tag lack goes to the log."""
    users, tags = (client.usage(period.first, period.last, by=by) for by in ("user", "tag"))
    deployments = client.deployments()
    names = {name: one.names for name, one in deployments.items()}
    providers = {name: provider_of(name, one.hosts, one.accounts, account=account) for name, one in deployments.items()}
    counts = count(users, tags, names, providers)
    for provider, one in counts.items():
        figures = {"counted": round(one.cost, 4), "untagged_percent": round(one.untagged_percent, 2)}
        logger.info("counted", extra={"provider": provider, **figures})
    return counts


Reader = Callable[[Count], Comparison]


def _readers(period: Period, settings: Bill, account: str) -> dict[str, Reader]:
    """What reads and compares each provider's bill, in the order in which they are told."""

    def bedrock(counted: Count) -> Comparison:
        tag = settings.profile_tag if any(map(profile_arn, counted.models)) else None
        profiles = aws_bill.read_profiles(period, account, tag) if tag else None
        return compare("bedrock", counted, aws_bill.read(period, account), profiles)

    readers: dict[str, Reader] = {"bedrock": bedrock}
    if azure := settings.azure:
        readers["azure"] = lambda counted: compare(
            "azure", counted, azure_bill.read(period, azure, secret("AZURE_BILLING_SECRET"))
        )
    if google := settings.google:
        project = os.environ.get("VERTEXAI_PROJECT", "")
        readers["vertex_ai"] = lambda counted: compare(
            "vertex_ai",
            counted,
            google_bill.read(period, google, secret("GOOGLE_BILLING_CREDENTIALS"), project=project),
        )
    if gemini := settings.gemini:
        readers["gemini"] = lambda counted: compare(
            "gemini", counted, google_bill.read_gemini(period, gemini, secret("GOOGLE_BILLING_CREDENTIALS"))
        )
    if openai := settings.openai:
        readers["openai"] = lambda counted: compare(
            "openai", counted, openai_bill.read(period, openai, secret("OPENAI_ADMIN_KEY"))
        )
    if anthropic := settings.anthropic:
        readers["anthropic"] = lambda counted: compare(
            "anthropic", counted, anthropic_bill.read(period, anthropic, secret("ANTHROPIC_ADMIN_KEY"))
        )
    return readers


def _compare_all(readers: dict[str, Reader], counts: dict[str, Count]) -> tuple[list[Comparison], dict[str, str]]:
    """The comparisons, and the providers whose bill could not be read, with the reason in a sentence.

    The bill of a provider that LiteLLM has neither a deployment nor a figure of is not read: nothing is to be compared.
    """
    compared, unread = [], {}
    for provider, reader in readers.items():
        if provider not in counts:
            continue
        try:
            compared.append(reader(counts[provider]))
        except (RefusedError, UnavailableError) as error:
            # Without its causes, in which an answer may repeat what was sent.
            logger.error("a bill was not read", extra={"provider": provider, "reason": str(error)})
            unread[provider] = str(error)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            logger.exception("a bill is not as it is read", extra={"provider": provider})
            unread[provider] = (
                f"the answer is not what lambda/usage reads ({type(error).__name__}): see the log of the function"
            )
    return compared, unread


def _reasons(unread: dict[str, str]) -> str:
    """Why the bills could not be read; those that share a reason, as Google's two, are named together."""
    titles: dict[str, list[str]] = {}
    for provider, reason in unread.items():
        titles.setdefault(reason, []).append(title_of(provider))
    return ". ".join(f"{' and '.join(those)}: {reason}" for reason, those in titles.items())


def _measure(one: Comparison, tolerance: float) -> None:
    figures = {"counted": round(one.counted, 4), "billed": round(one.billed, 4), "percent": round(one.percent, 2)}
    extra = {"provider": one.provider, **figures, "left_over": round(one.left_over, 4), "preliminary": one.preliminary}
    logger.info("compared", extra=extra)
    for row in one.above(tolerance):
        logger.warning(
            "differs",
            extra={
                "provider": one.provider,
                "region": row.region,
                "deployments": row.deployments,
                "profile": row.profile,
                "counted": round(row.counted.cost, 4),
                "billed": round(row.billed, 4),
                "percent": round(row.percent, 2),
                "finding": bill_texts.finding(row),
            },
        )
    with single_metric(name=METRIC, unit=MetricUnit.Percent, value=round(one.worst, 4), namespace=NAMESPACE) as metric:
        metric.service = ""  # or POWERTOOLS_SERVICE_NAME would be a dimension more, and the alarm see nothing
        metric.add_dimension("Environment", places().environment)
        metric.add_dimension("Provider", one.provider)


def _post(
    period: Period,
    compared: Sequence[Comparison],
    unread: dict[str, str],
    others: dict[str, Count],
    settings: Bill,
) -> None:
    """Tell the report's channel, if there is one."""
    place = report()
    if place is None:
        return
    channel, heading = Channel(place.channel), bill_texts.title(places().environment, period)
    thread = channel.post(
        bill_texts.summary(heading, compared, unread),
        bill_texts.blocks(heading, compared, unread, settings.tolerance_percent, others),
    )
    if compared:
        name = f"bill-{places().environment}-{period.name}.csv"
        table = bill_texts.comparison_csv(compared, others)
        share(channel, [File(name, table, f"Counted and billed, {period.name}")], thread, no_files)


def _time(value: str) -> datetime:
    if not value:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"The time is {value!r}: it must be as in 2026-12-05T03:00:00Z.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
