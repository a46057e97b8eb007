"""What is not told while the environment sleeps, as it is meant: by CloudWatch's own rules, which mute alarms by the
clock.

A muted alarm goes on by itself, and what it would do is done at the end if it is still on then: CloudWatch, "Alarm mute
rules". So one that is woken in vain in the morning tells.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from aws_cdk import CfnResource, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from stacks.gateway.sleep import at
from stacks.settings.sleep import Sleep, minutes

OF_SLEEP: Final = {
    "NoHealthyTask": "none runs",
    "TasksMissing": "those that are started in the morning",
    "BalancerErrors": "the load balancer answers for the gateway",
    "OldestRequest": "requests for accounts wait until it is awake",
}
"""The alarms that tell of what sleep is, by their ids, with what of it."""
# After it is awake: requests that waited are tried every 15 minutes, and an alarm looks back over some.
GRACE: Final = timedelta(minutes=30)
HOUR: Final = timedelta(hours=1)


def mute(scope: Construct, settings: Sleep, alarms: Iterable[cloudwatch.Alarm]) -> None:
    """Mute the alarms of `OF_SLEEP` while the environment sleeps by the clock.

    A rule for each length of a night, and one over the hour of waking: a night in which the clocks are turned back is
    an hour longer than the rule that begins with it. (One in which they are turned on is shorter: the alarms are quiet
    for an hour of that day.)
    """
    own = {alarm.node.id: alarm for alarm in alarms}
    targets = [own[name].alarm_name for name in OF_SLEEP if name in own]
    opens = timedelta(minutes=minutes(settings.opens))
    nights = {
        f"Night{''.join(day.capitalize() for day in days)}": (
            f"cron({at(minutes(settings.closes))} * * {','.join(days)})",
            timedelta(minutes=night) + GRACE,
        )
        for night, days in settings.nights.items()
    }
    before = min(HOUR, opens)
    start = at((opens - before) // timedelta(minutes=1))
    waking = {"Waking": (f"cron({start} * * {','.join(settings.in_order)})", before + GRACE)}
    for construct_id, (expression, duration) in (nights | waking).items():
        _rule(scope, construct_id, settings, expression, duration, targets)


def _rule(
    scope: Construct, construct_id: str, settings: Sleep, expression: str, duration: timedelta, targets: list[str]
) -> CfnResource:
    """Its expression has five fields, those of cron: "Schedule" in the API's PutAlarmMuteRule."""
    told: Mapping[str, str] = OF_SLEEP
    return cloudwatch.CfnAlarmMuteRule(
        scope,
        construct_id,
        description=f"The gateway sleeps: {', '.join(told.values())}",
        mute_targets=cloudwatch.CfnAlarmMuteRule.MuteTargetsProperty(alarm_names=targets),
        rule=cloudwatch.CfnAlarmMuteRule.RuleProperty(
            schedule=cloudwatch.CfnAlarmMuteRule.ScheduleProperty(
                expression=expression,
                duration=Duration.seconds(duration.total_seconds()).to_iso_string(),
                timezone=settings.timezone,
            )
        ),
    )
