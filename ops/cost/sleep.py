"""For how much of the time an environment that sleeps by the clock is awake, by the schedules in its templates."""

from __future__ import annotations

import re
from typing import Final

from ops.templates import Facts

WEEK_HOURS: Final = 7 * 24
EXPRESSION: Final = re.compile(r"cron\((?P<minute>\d+) (?P<hour>\d+) \? \* (?P<days>\*|[A-Z,]+) \*\)")
AFTERWARDS: Final = 0.25
"""Hours in which what falls asleep is still paid: ten minutes for the last answers of a task, and five without a
connection before the database pauses."""


def awake(facts: Facts) -> float:
    """The share of the time in which tasks run, 1 where nothing sleeps by the clock.

    Waking for a report or a comparison with the bill on another day is not counted: that is an evening a month or two.
    """
    schedules = facts.resources("AWS::Scheduler::Schedule").items()
    own = {name: one["ScheduleExpression"] for name, one in schedules if name.startswith("Gateway/Sleep")}
    found = {
        to: _at(expression) for to in ("Awake", "Asleep") for name, expression in own.items() if f"Sleep{to}" in name
    }
    if not found:
        return 1.0
    (wakes, days), (sleeps, _) = found["Awake"], found["Asleep"]
    return min(1.0, days * (sleeps - wakes + AFTERWARDS) / WEEK_HOURS)


def _at(expression: str) -> tuple[float, int]:
    """The hour of the day, and on how many days of the week.

    Raises
    ------
    LookupError
        It is written in another way.
    """
    parts = EXPRESSION.fullmatch(expression)
    if parts is None:
        raise LookupError(f"{expression} is no schedule of sleep that is known: ops/cost/sleep.py must be told")
    days = 7 if parts["days"] == "*" else len(parts["days"].split(","))
    return int(parts["hour"]) + int(parts["minute"]) / 60, days
