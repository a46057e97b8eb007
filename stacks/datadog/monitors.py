"""The monitors in Datadog: what a person must hear of, each with the reason for its threshold."""

import math

from stacks.datadog.metrics import ATTEMPTS, BUDGET_USED, COST, RECORDS, Json
from stacks.settings import Datadog

# Whoever works on one thing for a day spends more than on another day; three times the same day of another week is no
# such day. Below the dollars of `spend_jump` nobody would look.
JUMP_FACTOR = 3
# Of whoever costs `spend_jump` on a usual day one is told at this many times it; and so of who has no usual day yet.
DAY_FACTOR = JUMP_FACTOR + 1
# So many failures alone are never an alarm: it is quiet at night, and one call out of one is 100 %.
FEW_FAILURES = 4
# Fewer attempts than this are one caller's bad luck: it takes three to try all regions once.
FEW_ATTEMPTS = 5
# An attempt that was not throttled outweighs any number of throttled ones in ten minutes.
NOT_THROTTLED = 1_000_000
# The records of a minute ago are all there: LiteLLM sends them every few seconds, and Datadog makes a point every ten.
EVALUATION_DELAY = 60  # seconds
# Each worker says every five minutes that it is there. A window has two of its heartbeats, and Datadog advises to wait
# two windows for data: docs.datadoghq.com/monitors/guide/monitor_api_options.
SILENCE_WINDOW, SILENCE = 10, 20  # minutes


def monitors(environment: str, settings: Datadog, *, sleeps: bool = False) -> dict[str, Json]:
    """What Datadog's API takes to make each monitor (v1, `monitor`), by a name of ours.

    Where the gateway `sleeps` by the clock there is none of its silence: nobody is to be woken by what is meant. That
    no task runs in the day, or that Datadog takes no records, CloudWatch's alarms tell there too.
    """
    made = {
        "SpendJump": _spend_jump(environment, settings.spend_jump),
        "SpendDay": _spend_day(environment, DAY_FACTOR * settings.spend_jump),
        "ProviderErrors": _provider_errors(environment, settings.error_percent),
        "Throttled": _throttled(environment),
        **({} if sleeps else {"Silence": _silence(environment)}),
        "Budget": _budget(environment, settings.budget_percent),
    }
    handles = " ".join(settings.notify)
    for monitor in made.values():
        monitor["message"] = f"{monitor['message']}\n\n{handles}".rstrip()
    return made


def _spend_jump(environment: str, dollars: float) -> Json:
    """A person's last 24 hours against the same 24 hours a week before, since weekends are not like Mondays.

    It compares whoever had calls in both. Of somebody without any a week before there is no series to subtract: of
    `default_zero` it is known that it does nothing where the window has no point (DataDog/documentation, pull request
    14329), and of arithmetic no page says that a group which one side lacks is 0. Such people are for `_spend_day`. A
    comparison with `week_before` in a monitor is Datadog's own example: docs.datadoghq.com/monitors/guide/
    non_static_thresholds.
    """
    cost = COST.query(environment, by=("user",))
    query = f"{cost} - {JUMP_FACTOR} * week_before({cost})"
    return _monitor(
        environment,
        "spend of {{user.name}} jumped",
        f"sum(last_1d):{query} > {_number(dollars)}",
        f"In the last 24 hours {{{{user.name}}}} cost {{{{value}}}} US dollars more than {JUMP_FACTOR} times what the "
        "same 24 hours cost a week before. See on the dashboard with which model, and ask whether it is meant; a "
        "program that runs away, or a key in wrong hands, is stopped by blocking the key in the gateway's admin UI.",
        priority=3,
        critical=dollars,
    )


def _spend_day(environment: str, dollars: float) -> Json:
    """A person's last 24 hours against a fixed amount, whatever there was before: it sees who is new, and a key that
    nobody had used for long.

    Of a person who jumps past both amounts both monitors tell. One composite of the two cannot tell once instead: it
    looks only at groups that both have (docs.datadoghq.com/monitors/types/composite, "Common reporting sources"), and
    so at nobody who is new.
    """
    return _monitor(
        environment,
        "a day of {{user.name}} is expensive",
        f"sum(last_1d):{COST.query(environment, by=('user',))} > {_number(dollars)}",
        "In the last 24 hours {{user.name}} cost {{value}} US dollars, which is much whatever was before. See on the "
        "dashboard with which model, and ask whether it is meant; a program that runs away, or a key in wrong hands, "
        "is stopped by blocking the key in the gateway's admin UI.",
        priority=3,
        critical=dollars,
    )


def _provider_errors(environment: str, percent: float) -> Json:
    """The share of failures in 15 minutes: long enough that a region's short outage, which the others take over, is
    none, and short enough to act in.

    The request's own fault (400) is not the provider's. The sums are taken before the division (docs.datadoghq.com/
    monitors/guide/as-count-in-monitor-evaluations), and fewer attempts than `floor` count as so many (docs.datadoghq.
    com/dashboards/functions/exclusion). A composite of two monitors would do the same with three objects.
    """
    floor = math.ceil(100 * FEW_FAILURES / percent)
    failures = ATTEMPTS.query(environment, scope="outcome:failure,!error_code:400", by=("provider",))
    requests = ATTEMPTS.query(environment, by=("provider",))
    return _monitor(
        environment,
        "{{provider.name}} fails",
        f"sum(last_15m):100 * {failures} / clamp_min({requests}, {floor}) > {_number(percent)}",
        "Of the attempts at {{provider.name}} in the last 15 minutes {{value}} % failed (without those that were the "
        f"caller's fault; fewer than {floor} attempts count as {floor}). See on the dashboard with which error code: "
        "401 and 403 are our credentials, 429 is our quota, 5xx is the provider's own, for which its status page has "
        "word. Callers are served by other regions and by fallbacks as long as those answer.",
        priority=2,
        critical=percent,
        renotify_interval=60,  # somebody has to act
        timeout_h=1,  # without a call there is nothing that could tell that it is over
    )


def _throttled(environment: str) -> Json:
    """All attempts at a model in ten minutes were answered with 429: LiteLLM leaves a throttled region out for half a
    minute, so each was tried several times.

    The value is the number of throttled attempts, less very many for each other one: above 0 only if there is none.
    """
    throttled = ATTEMPTS.query(environment, scope="error_code:429", by=("model",))
    attempts = ATTEMPTS.query(environment, by=("model",))
    return _monitor(
        environment,
        "{{model.name}} is throttled in all regions",
        f"sum(last_10m):{throttled} - {NOT_THROTTLED} * ({attempts} - {throttled}) >= {FEW_ATTEMPTS}",
        "All {{value}} attempts at {{model.name}} in the last ten minutes were answered with 429, in every region that "
        "the gateway has for it: callers get errors, or the model's fallback. See on the dashboard who uses it most; "
        "ask the provider for more quota, or add a region to company/config.yaml.",
        priority=2,
        critical=FEW_ATTEMPTS,
        renotify_interval=60,  # somebody has to act
        timeout_h=1,  # without a call there is nothing that could tell that it is over
    )


def _silence(environment: str) -> Json:
    """Not even a heartbeat: what there is to see in Datadog is not what happens."""
    return _monitor(
        environment,
        "no records",
        f"sum(last_{SILENCE_WINDOW}m):{RECORDS.query(environment)} < 1",
        f"For {SILENCE} minutes no task of the gateway has sent a record to Datadog, though each worker says every "
        "five minutes that it is there. Either no task runs, which CloudWatch's alarms tell too, or records do not "
        "arrive: see the log of the gateway's tasks, and whether DD_API_KEY and DD_SITE are right.",
        priority=2,
        critical=1,
        notify_no_data=True,
        no_data_timeframe=SILENCE,
        renotify_interval=60,  # figures are missing as long as it lasts
        renotify_statuses=["alert", "no data"],
    )


def _budget(environment: str, percent: float) -> Json:
    """What the last hour's calls said of their user's budget: the highest, as it only grows until it begins anew."""
    return _monitor(
        environment,
        "{{user.name}} has used most of the budget",
        f"max(last_1h):{BUDGET_USED.query(environment, 'max', by=('user',))} >= {_number(percent)}",
        "{{user.name}} has used {{value}} % of the budget; at 100 % the gateway rejects every call until it begins "
        "anew. Ask whether more is needed, and raise it in the gateway's admin UI, before work stops.",
        priority=4,
        critical=percent,
        timeout_h=24,  # Datadog's most: a budget begins anew without a call
    )


def _monitor(
    environment: str,
    name: str,
    query: str,
    message: str,
    *,
    priority: int,
    critical: float,
    **options: object,
) -> Json:
    return {
        "name": f"LLM gateway · {environment}: {name}",
        "type": "query alert",
        "query": query,
        "message": "{{^is_recovery}}" + message + "{{/is_recovery}}{{#is_recovery}}It is over.{{/is_recovery}}",
        "priority": priority,
        "tags": [f"env:{environment}", "service:litellm-gateway", "managed-by:litellm-gateway"],
        "options": {
            "thresholds": {"critical": _number(critical)},
            "evaluation_delay": EVALUATION_DELAY,
            "new_group_delay": 0,  # a new person's first program may be the one that runs away
            "require_full_window": False,  # people do not call all the time
            "notify_no_data": False,  # nor at night
            "renotify_interval": 0,  # said once: saying it again makes no difference
            "notify_audit": False,
            "include_tags": True,
            **options,
        },
    }


def _number(value: float) -> float:
    """A number as both the query and the threshold write it: 20, not 20.0."""
    return int(value) if value == int(value) else value
