"""AWS's quotas, against what the environment's settings need of them beside whatever else is in the account.

Integrates with EC2, Lambda, RDS and Service Quotas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from botocore import exceptions as aws

from ops.doctor.account import Account, error_code
from ops.doctor.finding import Finding, problem, well
from ops.numbers import written
from stacks.settings import Environment

# Enough for Slack's three seconds while the worker and the clock's functions run too. New accounts have 10, with which
# a deployment does: no stack has more than four run at once.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
CONCURRENT_FUNCTIONS: Final = 50


class Need(NamedTuple):
    """How much of a quota is needed, and how that number comes about."""

    amount: float
    reason: str


@dataclass(frozen=True)
class Quota:
    """A quota of AWS's: its codes at Service Quotas, and what the environment needs of it (None: nothing)."""

    what: str
    service: str
    code: str
    need: Callable[[Account], Need | None]

    def __call__(self, account: Account) -> Iterator[Finding]:
        """The quota is enough."""
        need = self.need(account)
        if need is None:
            return
        what, given = f"quota: {self.what}", self.value(account.client("service-quotas"))
        told = f"{written(given)}, and {written(need.amount)} needed: {need.reason}"
        if given >= need.amount:
            yield well(what, told)
            return
        yield problem(
            what,
            told,
            f"run `aws service-quotas request-service-quota-increase --region {account.environment.region} "
            f"--service-code {self.service} --quota-code {self.code} --desired-value {written(need.amount)}`; AWS "
            "may take days to answer.",
        )

    def value(self, quotas: Any) -> float:  # noqa: ANN401 - a client
        """The account's own value, or AWS's default where it has none."""
        try:
            answer = quotas.get_service_quota(ServiceCode=self.service, QuotaCode=self.code)
        except aws.ClientError as error:
            if error_code(error) != "NoSuchResourceException":
                raise
            answer = quotas.get_aws_default_service_quota(ServiceCode=self.service, QuotaCode=self.code)
        return float(answer["Quota"]["Value"])


def _own(environment: Environment, tags: Iterable[Mapping[str, str]]) -> bool:
    """Whether CloudFormation's tags say that a resource is of one of the environment's stacks."""
    return any(
        tag["Key"] == "aws:cloudformation:stack-name" and tag["Value"].startswith(f"litellm-{environment.name}-")
        for tag in tags
    )


def _rollout(account: Account) -> Need:
    settings = account.environment.gateway
    return Need(
        2 * settings.max_tasks * settings.cpu / 1024,
        f"2 x {settings.max_tasks} tasks of {written(settings.cpu / 1024)} vCPU while a deployment runs",
    )


def _on_demand_cpus(account: Account) -> Need:
    settings = account.environment.gateway
    migration = settings.cpu / 1024
    if settings.spot:
        return Need(migration, f"the migration's {written(migration)} vCPU")
    rollout = _rollout(account)
    return Need(rollout.amount + migration, f"{rollout.reason}, and {written(migration)} for the migration")


def _spot_cpus(account: Account) -> Need | None:
    return _rollout(account) if account.environment.gateway.spot else None


def _addresses(account: Account) -> Need | None:
    environment = account.environment
    if environment.network.vpc:
        return None
    held = account.client("ec2").describe_addresses()["Addresses"]
    others = sum(not _own(environment, address.get("Tags", [])) for address in held)
    gateways = environment.network.nat_gateways
    return Need(others + gateways, f"{gateways} for NAT gateways, and {others} elsewhere")


def _vpcs(account: Account) -> Need | None:
    environment = account.environment
    if environment.network.vpc:
        return None
    vpcs = [vpc for page in account.client("ec2").get_paginator("describe_vpcs").paginate() for vpc in page["Vpcs"]]
    others = sum(not _own(environment, vpc.get("Tags", [])) for vpc in vpcs)
    return Need(others + 1, f"1 for the gateway, and {others} elsewhere")


def _clusters(account: Account) -> Need:
    pages = account.client("rds").get_paginator("describe_db_clusters").paginate()
    identifiers = [cluster["DBClusterIdentifier"] for page in pages for cluster in page["DBClusters"]]
    others = sum(identifier != f"litellm-{account.environment.name}" for identifier in identifiers)
    return Need(others + 1, f"1 for the gateway, and {others} elsewhere")


# The codes are those that `aws service-quotas list-aws-default-service-quotas` gives.
QUOTAS: Final = (
    Quota("Fargate On-Demand vCPUs", "fargate", "L-3032A538", _on_demand_cpus),
    Quota("Fargate Spot vCPUs", "fargate", "L-36FBB829", _spot_cpus),
    Quota("Elastic IP addresses", "ec2", "L-0263D0A3", _addresses),
    Quota("VPCs", "vpc", "L-F678F1CE", _vpcs),
    Quota("Aurora clusters", "rds", "L-952B80B8", _clusters),
)


def functions_at_once(account: Account) -> Iterator[Finding]:
    """Enough Lambda functions may run at once; Lambda itself tells, as Service Quotas does not know of new accounts."""
    what = "quota: Lambda concurrency"
    limit = account.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    if limit >= CONCURRENT_FUNCTIONS:
        yield well(what, f"{limit}")
        return
    yield problem(
        what,
        f"{limit} functions at once in the whole account, so that Slack's requests may find none",
        f"run `aws service-quotas request-service-quota-increase --region {account.environment.region} "
        "--service-code lambda --quota-code L-B99A9384 --desired-value 1000`.",
    )
