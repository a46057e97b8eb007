"""Prints what is the company's own: its environments side by side, what they cost at rest, and of each its addresses,
models, secrets and alarms.

    make about              # of every environment that is deployed
    make about ENV=prod     # of one

All of it follows from `company/`; nothing is asked of AWS. No value of a secret is known here.

Exit codes: 0 printed; 2 a mistake in the settings, in one sentence.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from ops.access import environment_named, run
from ops.cost.prices import Prices, known_regions, prices_of
from ops.cost.table import rows
from ops.numbers import written
from ops.secrets import known, required_secrets
from ops.slack_manifest import PATH
from ops.templates import Facts, Properties, plain, synthesize
from stacks import CHECKOUT
from stacks.company import EXAMPLE, Company, company
from stacks.litellm_config import image_version
from stacks.settings import Environment, Sleep

COMPARISONS: Final = {
    "GreaterThanOrEqualToThreshold": ">=",
    "GreaterThanThreshold": ">",
    "LessThanThreshold": "<",
}
UNITS: Final = {"day": 86_400, "h": 3600, "min": 60, "s": 1}
Row = Sequence[str]


def product_version() -> str:
    """The product's version: pyproject.toml is the one place for it."""
    return str(tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def differences(environments: Sequence[Environment]) -> list[list[str]]:
    """A table, row by row without its head: in what the environments differ."""
    each: dict[str, Callable[[Environment], str]] = {
        "Availability zones": lambda one: str(len(one.network.zones)),
        "NAT gateways": _ways_out,
        "Interface endpoints": lambda one: str(len(one.network.interface_endpoints)),
        "Tasks": lambda one: _from_to(one.gateway.min_tasks, one.gateway.max_tasks),
        "Aurora capacity (ACU)": lambda one: _from_to(one.database.min_capacity, one.database.max_capacity),
        "Awake": lambda one: _awake(one.sleep),
        "Aurora reader": lambda one: _yes_no(one.database.reader),
        "Cache (nodes)": lambda one: "none" if not one.cache else "2" if one.cache.replica else "1",
        "Backups (days)": lambda one: str(one.database.backup_days),
        "Logs (days)": lambda one: str(one.log_retention_days),
        "Deletion protection": lambda one: _yes_no(one.deletion_protection),
    }
    return [[name, *(tell(one) for one in environments)] for name, tell in each.items()]


def about(own: Company, environments: Sequence[Environment]) -> Iterator[str]:
    """The lines about these environments of a company."""
    facts = [Facts(synthesize(one.name)) for one in environments]
    yield from _whose(own)
    head = ["", *(one.name for one in environments)]
    accounts = ["Account", *(one.account for one in environments)]
    regions = ["Region", *(one.region for one in environments)]
    yield from _titled("Environments", [head, accounts, regions, *differences(environments)])
    prices = _prices(environments)
    priced = rows(facts, prices)
    yield from _titled("Costs at rest, US dollars a month", [["", "Price", *head[1:]], *priced])
    yield f"  List prices of {prices.region}, {prices.as_of}; the models come on top, and use: make cost ENV=…"
    if elsewhere := sorted({one.region for one in environments} - {prices.region}):
        yield f"  Those of {', '.join(elsewhere)} differ: make cost ENV=… ARGS=--refresh asks AWS for them."
    for one, found in zip(environments, facts, strict=True):
        yield from _environment(own, one, found)


def _prices(environments: Sequence[Environment]) -> Prices:
    """The prices of the environments' own region, or of one that is known."""
    known = known_regions()
    return prices_of(next((one.region for one in environments if one.region in known), known[0]))


def _whose(own: Company) -> Iterator[str]:
    example = ", the example: make init makes a company of your own" if own.folder == EXAMPLE else ""
    litellm = image_version(CHECKOUT / "container" / "Dockerfile")
    yield f"Company in {own.name}{example}. Product {product_version()}, LiteLLM {litellm}."
    if releases := own.releases:
        ways = [
            *(["CodePipeline"] if releases.connection_arn else []),
            *(["GitHub Actions"] if releases.github_actions else []),
        ]
        approved = f"; a person approves {', '.join(releases.approved)}" if releases.approved else ""
        order = ", then ".join(releases.environments)
        yield f"Releases of {releases.repository} go to {order}, by {' and '.join(ways)}{approved}."
    else:
        yield "Nothing promotes releases: people deploy by hand."


def _environment(own: Company, one: Environment, facts: Facts) -> Iterator[str]:
    title = f"{one.name}: account {one.account}, {one.region}"
    yield from ("", title, "=" * len(title))
    yield from _titled("Addresses", list(_addresses(one)))
    config = one.litellm_config(own.config)
    models: dict[tuple[str, str], list[str]] = {}
    for model in config.models:
        models.setdefault((model.name, model.provider), []).extend([model.region] if model.region else [])
    yield from _titled("Models", [[name, provider, ", ".join(regions)] for (name, provider), regions in models.items()])
    for role in config.assumed_roles:
        yield from ("", f"Role {role.arn}: its trust policy, and what it has to permit")
        for document in (role.trust(one.account, one.task_role), role.policy()):
            yield from (f"  {line}" for line in json.dumps(document, indent=2).splitlines())
    secrets = [[name, known(name).description] for name in required_secrets(one, own.config)]
    yield from _titled(f"Secrets in {one.parameter_prefix}/, which make secrets asks for or makes", secrets)
    alarms = [[name, *_alarm(alarm)] for name, alarm in sorted(_alarms(facts).items())]
    yield from _titled(f"{len(alarms)} alarms, told to {_told(one)}; docs/alarms.md has what to do", alarms)


def _addresses(one: Environment) -> Iterator[Row]:
    yield "API", f"https://{one.domain}"
    yield "Admin UI", f"https://{one.domain}/ui"
    yield "Reached from", ", ".join(map(str, one.ingress.cidrs))
    yield "Administered from", ", ".join(map(str, one.ingress.management_cidrs))
    yield "Mail from", one.mail_sender
    if one.onboarding:
        yield "Slack's request URL", f"https://{one.slack_domain}{PATH}"
        yield "Slack's command", one.onboarding.command
        yield "Accounts told in", one.onboarding.audit_channel
    if one.report:
        yield "Reports in", one.report.channel
    yield "CloudWatch", f"dashboard and saved queries litellm-{one.name}"
    if one.datadog:
        yield "Datadog", f"{one.providers.dd_site}, service:litellm-gateway env:{one.name}"


def _told(one: Environment) -> str:
    slack = [f"Slack's {one.alarms.channel}"] if one.alarms.channel else []
    return ", ".join([*one.alarms.emails, *slack]) or "nobody (set alarms.emails or alarms.channel)"


def _alarms(facts: Facts) -> dict[str, Properties]:
    found = facts.resources("AWS::CloudWatch::Alarm")
    return {plain(name.partition("/")[2]): alarm for name, alarm in found.items()}


def _alarm(alarm: Properties) -> Row:
    """When an alarm tells, and what it means then."""
    periods = [metric["MetricStat"]["Period"] for metric in alarm.get("Metrics", ()) if "MetricStat" in metric]
    period = alarm.get("Period", max(periods, default=0))
    unit, seconds = next((unit, seconds) for unit, seconds in UNITS.items() if period % seconds == 0)
    of, often = alarm["EvaluationPeriods"], alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
    times = f"{often} of {of} x {period // seconds} {unit}"
    means = alarm["AlarmDescription"].partition(" Threshold: ")[0]
    return f"{COMPARISONS[alarm['ComparisonOperator']]} {alarm['Threshold']:,.15g}", times, means


def _titled(title: str, rows: Sequence[Row]) -> Iterator[str]:
    """A title and a table below it, its columns as wide as they need."""
    yield from ("", title)
    columns = max((len(row) for row in rows), default=0)
    widths = [max(len(row[at]) for row in rows if at < len(row)) for at in range(columns)]
    for row in rows:
        yield f"  {'  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))}".rstrip()


def _from_to(least: float, most: float) -> str:
    return f"{written(least)}–{written(most)}"  # noqa: RUF001 - as in docs/environments.md


def _ways_out(one: Environment) -> str:
    if one.network.vpc:
        return "the VPC's own"
    return "a machine" if one.network.nat_instance else str(one.network.nat_gateways)


def _awake(sleep: Sleep | None) -> str:
    """The hours and days in short; all of them where it never sleeps."""
    if sleep is None:
        return "always"
    return f"{sleep.awake}, {len(sleep.days)}/7" if sleep.awake else "on command"


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.about", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--env", metavar="NAME", help="an environment of company/environments.py; without it, all")
    name = parser.parse_args(argv).env

    def work() -> int:
        own = company()
        chosen = [environment_named(name)] if name else list(own.environments.values())
        print("\n".join(about(own, chosen)))
        return 0

    return run("about", work)


if __name__ == "__main__":
    sys.exit(main())
