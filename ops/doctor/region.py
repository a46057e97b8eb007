"""Who asks, and whether the environment's region is enabled and has the services that its settings need.

Integrates with AWS Account Management and STS.
"""

from __future__ import annotations

from collections.abc import Iterator

from ops.doctor.account import Account
from ops.doctor.finding import Finding, Mark, problem, well
from stacks.settings.regions import lacking


def credentials(account: Account) -> Iterator[Finding]:
    """Who asks; that it is the environment's account is known by now."""
    who = account.access.session.client("sts").get_caller_identity()["Arn"]
    yield well("credentials", f"{who}, by the account's lookup role" if account.access.by_roles else str(who))


def region(account: Account) -> Iterator[Finding]:
    """The region is enabled."""
    name = account.environment.region
    status = account.client("account").get_region_opt_status(RegionName=name)["RegionOptStatus"]
    if status in ("ENABLED", "ENABLED_BY_DEFAULT"):
        yield well("region", f"{name} is enabled")
    else:
        remedy = f"run `aws account enable-region --region-name {name}`, and wait until it is ENABLED."
        yield problem("region", f"{name} is {status}", remedy)


def services(account: Account) -> Iterator[Finding]:
    """The region has the services that the settings need; what is not in the list may be there by now."""
    name = account.environment.region
    for service in lacking(account.environment):
        detail = f"{service} is not known to be in {name}: look at AWS's list of services by region."
        yield Finding(f"service: {service}", Mark.UNKNOWN, detail)
