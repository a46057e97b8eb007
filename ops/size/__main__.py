"""Prints how large an environment is to be for so many people, what a day with that looks like, and what it costs.

    make size USERS=500
    make size USERS=500 ARGS="--agent 0.4 --chat 0.6 --batch 0"   # shares of the people; one may do several things
    make size USERS=500 ARGS="--fewest 3 --region us-east-1"      # tasks that run in any case, one a zone; prices

The model is explained in docs/performance.md, with the figures that it takes from there. Nothing is asked of AWS.

Exit codes: 0 printed; 1 a part's limit is passed, which is named; 2 a mistake, in one sentence.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

from ops.access import OpsError, run
from ops.cost.prices import Prices, known_regions, prices_of
from ops.size.limits import limits
from ops.size.people import NAMES, company
from ops.size.sizes import Size, month, size
from stacks.datadog.custom_metrics import USD, Use, billed
from stacks.datadog.metrics import METRICS

MODELS, REGIONS = 4, 3
"""Of each person, for Datadog's custom metrics (docs/usage.md)."""


def text(found: Size, prices: Prices) -> Iterator[str]:
    """The lines that people read."""
    own, day = found.company, found.day
    people = ", ".join(f"{own.people(kind):,.0f} {kind.name}" for kind in own.kinds if own.people(kind))
    yield f"{own.users:,} people ({people}): {sum(map(own.requests, own.kinds)):,.0f} requests in a working day."
    yield ""
    yield from (f"  {line}" for line in found.settings().splitlines())
    yield ""
    yield "The day, by the hour: tasks, what is asked of their processors, requests in hand"
    for hour in range(24):
        minutes = day.hour(hour)
        if not any(minute.requests for minute in minutes):
            continue
        tasks = max(minute.tasks for minute in minutes)
        busy, in_hand = max(minute.busy for minute in minutes), max(minute.in_hand for minute in minutes)
        yield f"  {hour:02}:00  {tasks:>4}  {busy:>5.0%}  {in_hand:>7,.0f}  {'#' * round(20 * min(busy, 1.5))}".rstrip()
    yield f"Refused: {day.refused:,}. Minutes in which everybody waits: {day.slow_minutes}."
    parts = month(found, prices)
    yield ""
    yield f"A month in {prices.region}, USD (list prices of {prices.as_of}): what use takes, tasks and database whole."
    yield "What is there without anybody comes on top (make cost): NAT gateways, load balancer, web ACL, alarms."
    yield from (f"  {part.name:<46} {part.dollars:>9,.2f}   {part.amount}" for part in parts)
    each = f"{MODELS} models and {REGIONS} regions of each person"
    yield f"  {'Datadog, custom metrics at most':<46} {_datadog(found):>9,.2f}   {each}"
    yield f"  {'Sum':<46} {sum(part.dollars for part in parts) + _datadog(found):>9,.2f}"
    yield from ("", "What it comes near to")
    for limit in limits(found):
        most = f"of {limit.most:,.0f}" if limit.most is not None else "of your quota"
        told = f"PASSED, {limit.do}" if limit.reached else limit.do if limit.most is None else ""
        yield f"  {limit.part:<14} {limit.asked:>13,.0f} {most:<16} {limit.what}{f': {told}' if told else ''}"


def _datadog(found: Size) -> float:
    return USD * billed(METRICS, Use(people=found.company.users, models=MODELS, regions=REGIONS))


def document(found: Size, prices: Prices) -> dict[str, object]:
    """The same for another program."""
    return {
        "users": found.company.users,
        "shares": dict(found.company.shares),
        "gateway": {"min_tasks": found.tasks.fewest, "max_tasks": found.tasks.most},
        "database": {"min_capacity": found.min_capacity, "max_capacity": found.max_capacity},
        "busiest": asdict(found.day.busiest),
        "refused": found.day.refused,
        "slow_minutes": found.day.slow_minutes,
        "month": [asdict(part) for part in month(found, prices)],
        "limits": [asdict(limit) | {"reached": limit.reached} for limit in limits(found)],
    }


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.size", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--users", type=int, required=True, metavar="N", help="how many people will use it")
    for name in NAMES:
        parser.add_argument(f"--{name}", type=float, metavar="SHARE", help="of the people, between 0 and 1")
    parser.add_argument("--fewest", type=int, default=2, metavar="N", help="tasks that run in any case (2)")
    parser.add_argument("--region", default=known_regions()[0], help=f"for prices: {', '.join(known_regions())}")
    parser.add_argument("--json", action="store_true", help="the same for another program")
    arguments = parser.parse_args(argv)

    def work() -> int:
        if arguments.fewest < 1:
            raise OpsError("--fewest: at least one task has to run.")
        shares = {name: share for name in NAMES if (share := getattr(arguments, name)) is not None}
        found, prices = size(company(arguments.users, shares), fewest=arguments.fewest), prices_of(arguments.region)
        print(json.dumps(document(found, prices), indent=2) if arguments.json else "\n".join(text(found, prices)))
        return 1 if any(limit.reached for limit in limits(found)) else 0

    return run("size", work)


if __name__ == "__main__":
    sys.exit(main())
