"""What AWS knows of the answers, where there are credentials: defaults, and the checks of `make doctor` as warnings.

Nothing here stops anybody: what cannot be looked up is left to `make doctor`; without credentials that is said once.

Integrates with Bedrock, Certificate Manager, EC2, Route 53 and STS, through boto3's own credentials and settings
(AWS_PROFILE, AWS_ENDPOINT_URL, …), and with dns.google, as `ops/doctor` does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, TypeVar

import boto3
from botocore import exceptions as aws
from botocore.config import Config

from ops.access import Access, explain
from ops.doctor import domain, models, network, region
from ops.doctor.account import Account, Check
from ops.doctor.examination import examine
from ops.doctor.finding import Finding, Mark
from stacks.settings import Environment

# A person waits for the next question.
PATIENCE: Final = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "max_attempts": 1})

PLACE: Final[Mapping[str, Check]] = {
    "region": region.region,
    "zones": network.zones,
    "hosted zone": domain.hosted_zone,
    "certificate": domain.certificate,
    "VPC": network.existing_vpc,
}
"""Of an environment's place, those of `make doctor` that need nothing but its answers."""

Found = TypeVar("Found")


class Aws:
    """AWS as far as the credentials lead. `session` is given by tests."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        self._session = session
        self.why = ""  # nothing can be looked up
        self._known: dict[tuple[str, ...], Any] = {}

    @cached_property
    def account(self) -> str | None:
        """The account of the credentials; None if there are none, or AWS does not answer, and `why`."""
        try:
            self._session = self._session or boto3.Session()
            if self._session.get_credentials() is None:
                self.why = "there are no AWS credentials"
                return None
            region = self.region or "us-east-1"
            client = self._session.client("sts", region_name=region, config=PATIENCE)
            return str(client.get_caller_identity()["Account"])
        except (aws.BotoCoreError, aws.ClientError) as error:
            self.why = explain(error).rstrip(".")
            return None

    @property
    def region(self) -> str | None:
        """The region of AWS_REGION or the profile."""
        return os.environ.get("AWS_REGION") or (self._session.region_name if self._session else None)

    def told(self) -> str:
        """What is looked up, in one sentence."""
        if self.account:
            return f"What is in account {self.account} is looked up there: these AWS credentials are of it."
        return f"Nothing is looked up in AWS, as {self.why}: make doctor does it later."

    def zones(self, account: str, region: str) -> tuple[str, ...]:
        """The zones that the account has there, sorted; none if they cannot be looked up."""

        def ask() -> tuple[str, ...]:
            found = self._client("ec2", region).describe_availability_zones()["AvailabilityZones"]
            usable = (zone for zone in found if zone.get("ZoneType", "availability-zone") == "availability-zone")
            return tuple(sorted(zone["ZoneName"] for zone in usable if zone["State"] == "available"))

        return self._looked_up(account, ("zones", account, region), ask) or ()

    def zone_id(self, account: str, name: str) -> str | None:
        """The id of the account's public hosted zone of this name."""

        def ask() -> str | None:
            client = self._client("route53", self.region or "us-east-1")
            for zone in client.list_hosted_zones_by_name(DNSName=name)["HostedZones"]:
                if zone["Name"].rstrip(".") == name and not zone.get("Config", {}).get("PrivateZone"):
                    return str(zone["Id"]).removeprefix("/hostedzone/")
            return None

        return self._looked_up(account, ("zone", account, name), ask)

    def vpc_cidr(self, account: str, region: str, vpc: str) -> str | None:
        """The range of a VPC."""

        def ask() -> str:
            (found,) = self._client("ec2", region).describe_vpcs(VpcIds=[vpc])["Vpcs"]
            return str(found["CidrBlock"])

        return self._looked_up(account, ("vpc", account, region, vpc), ask)

    def of_place(self, environment: Environment) -> Iterator[str]:
        """Yield a warning for whatever in the environment's place is not as it says."""
        yield from self._warnings(environment, PLACE)

    def of_models(self, environment: Environment, config: Path) -> Iterator[str]:
        """Yield a warning for each of Bedrock's models that the environment's account may not call."""
        read = environment.litellm_config(config)
        calls = models.calls_of(read, environment.account)
        yield from self._warnings(environment, {"Bedrock": partial(models.access_to, calls=calls)})

    def _warnings(self, environment: Environment, checks: Mapping[str, Check]) -> Iterator[str]:
        if not self.account or not self._session:
            return
        if environment.account != self.account:
            yield f"{environment.name}: not looked up, as these AWS credentials are of account {self.account}."
            return
        account = Account(Access(environment, self._session), self._session)
        for finding in examine(account, checks):
            if finding.mark in (Mark.PROBLEM, Mark.UNKNOWN):
                yield _sentence(environment.name, finding)

    def _client(self, service: str, region: str) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        assert self._session  # noqa: S101 - an account is known by it
        return self._session.client(service, region_name=region, config=PATIENCE)  # type: ignore[call-overload]

    def _looked_up(self, account: str, key: tuple[str, ...], ask: Callable[[], Found]) -> Found | None:
        """What AWS says, asked once; None if the account is another one, or AWS does not say."""
        if account != self.account:
            return None
        if key not in self._known:
            try:
                self._known[key] = ask()
            except (aws.BotoCoreError, aws.ClientError, ValueError):
                self._known[key] = None  # the environment's checks tell why
        found: Found | None = self._known[key]
        return found


def _sentence(name: str, finding: Finding) -> str:
    remedy = f" {finding.remedy[:1].upper()}{finding.remedy[1:]}" if finding.remedy else ""
    return f"{name}: {finding.what}: {finding.detail.rstrip('.')}.{remedy}"
