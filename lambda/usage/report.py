"""Tells Slack, every week and every month, what was used, what it cost, and who should move to a flat-rate plan.

A report is not posted twice in whole. All is reckoned before the message is posted, and nothing that fails afterwards
is raised, so that no retry of Lambda's finds one that is there already. A second delivery of one event, which
EventBridge Scheduler and Lambda both allow themselves, is known by the event's time as long as the execution
environment lives, which is minutes. What is left is a duplicate that reaches another environment, and an answer of
Slack's that was lost on its way. Slack has nothing against these: `client_msg_id` is not for apps
(https://github.com/slackapi/java-slack-sdk/issues/852), and to look for an earlier report in the channel the app would
need the right to read all that people write there. A table for a message a week would cost more than it saves.

Integrates with LiteLLM (the daily export by user, its models), Parameter Store and Slack (auth.test, auth.teams.list,
usergroups.users.list, users.list, chat.postMessage, files.getUploadURLExternal, files.completeUploadExternal).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from usage import chart, texts
from usage.caching import gains
from usage.environment import Report, places, report, secret
from usage.figures import Figures, Period, jumps, usage_csv
from usage.litellm import LiteLlm
from usage.plans import Seats, advice_csv, advise, idle_seats, seats_paid_twice
from usage.slack import Channel, File, holders, share

logger = Logger()
_posted: set[tuple[str, str]] = set()  # by this process: the period's kind and the event's time


@logger.inject_lambda_context(log_event=False, clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Post the report of the last full period; return what it was of.

    Parameters
    ----------
    event
        `period`: week or month. `time`: when it was due, in ISO 8601 (`<aws.scheduler.scheduled-time>` of EventBridge
        Scheduler); now, if it is not given.

    Raises
    ------
    ValueError
        The event is not such, or the environment has no report.
    UnavailableError, RefusedError
        LiteLLM or Slack did not answer, or refused; nothing has been posted.
    """
    settings = report()
    if settings is None:
        raise ValueError("The environment has no report: give it report=Report(…) in company/environments.py.")
    period = Period.ended_before(str(event.get("period")), _time(event.get("time")))
    delivery = (period.kind, str(event.get("time") or ""))
    if delivery[1] and delivery in _posted:
        logger.warning("posted before: the event was delivered twice", extra={"period": period.name})
        return {"period": period.name, "posted": False}
    found = _find(period, settings)
    files = _files(found) if found.now.users else []
    channel = Channel(settings.channel)
    thread = channel.post(*_message(found, settings))
    _posted.add(delivery)
    shared = share(channel, files, thread, texts.no_files)
    result = {"period": period.name, "posted": True, "users": len(found.now.users), "files": shared}
    logger.info("reported", extra=result)
    return result


def _time(value: object) -> datetime:
    if not value:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError(f"The time is {value!r}: it must be as in 2026-11-30T00:10:00Z.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _find(period: Period, settings: Report) -> texts.Findings:
    litellm = LiteLlm(places().litellm_url, secret("USAGE_KEY"))
    now, before = (Figures.of(one, litellm.usage(one.first, one.last)) for one in (period, period.before))
    seats = _seats(settings)
    return texts.Findings(
        environment=places().environment,
        now=now,
        before=before,
        advice=advise(now, before, settings.plans, seats),
        idle=idle_seats(now, settings.plans, seats, settings.seat_percent),
        twice=seats_paid_twice(now, settings.plans, seats),
        jumps=jumps(now, before, settings.jump_factor, settings.jump_minimum),
        gains=gains(now.users, litellm.cache_prices()),
    )


def _seats(settings: Report) -> Seats:
    groups = {plan.name: plan.seats for plan in settings.plans if plan.seats}
    members = holders(set(groups.values())) if groups else {}
    return {plan: members[group] for plan, group in groups.items()}


def _message(found: texts.Findings, settings: Report) -> tuple[str, list[texts.Block]]:
    if not found.now.users:
        return texts.nothing(found.environment, found.period), []
    return texts.summary(found), texts.blocks(found, settings)


def _files(found: texts.Findings) -> list[File]:
    name = f"{found.environment}-{found.period.name}"
    title = f"Cost per day by model, {found.environment}, {texts.dates(found.period)}"
    files = [
        File(f"usage-{name}.png", chart.png(found.now, title), title, chart.alt_text(found.now, title)),
        File(f"usage-{name}.csv", usage_csv(found.now), f"Users and models, {texts.dates(found.period)}"),
    ]
    seats = (*found.idle, *found.twice)
    if found.advice or seats or found.jumps or found.gains:
        table = advice_csv(found.advice, seats, found.jumps, found.gains, found.period.days)
        files.append(File(f"advice-{name}.csv", table, f"All findings, {texts.dates(found.period)}"))
    return files
