"""Looks at everything in an environment's AWS account that a deployment relies on: `make doctor ENV=dev`.

A line for each check: `ok`, `problem` with its remedy below it, or `?` for what could not be looked at, and why. The
checks run side by side, and none hides another. What is needed follows from the environment's settings and from
`company/config.yaml`. Nothing is changed.

Integrates with AWS Account Management, Bedrock, Certificate Manager, Chatbot (Amazon Q Developer in chat applications),
CloudFormation, EC2, IAM, Lambda, RDS, Route 53, Service Quotas, SES, STS and Systems Manager, through boto3's own
credentials and settings (AWS_PROFILE, AWS_ENDPOINT_URL, …), and with dns.google, which is asked for the name servers of
the hosted zone.

Exit codes: 0 all is well; 1 there is a problem; 2 something could not be looked at, or a mistake or an error, in one
sentence; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import boto3
from botocore import exceptions as aws
from botocore.config import Config

from ops.access import QUALIFIER, Access, OpsError, Role, connect, environment_named, explain, run
from ops.secrets import Store, required_secrets
from stacks.company import config_file, promotion
from stacks.litellm_config import ConfigError, LiteLlmConfig
from stacks.settings import Environment, ExistingVpc, Releases, SettingsError
from stacks.settings.regions import lacking

NODE: Final = Path(sys.executable).with_name("node")  # what the CDK runs in
WORKERS: Final = 12
# One slow service must not hold up the others for long.
PATIENCE: Final = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})
DNS: Final = "https://dns.google/resolve"  # developers.google.com/speed/public-dns/docs/doh/json
DNS_PATIENCE: Final = 10.0  # seconds
CHATBOT_REGION: Final = "us-east-2"  # one of the few with its API, which knows the workspaces of all
# Enough for Slack's three seconds while the worker and the clock's functions run too; new accounts have 10.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
CONCURRENT_FUNCTIONS: Final = 50


class Mark(StrEnum):
    """How a check ended."""

    WELL = "ok"
    PROBLEM = "problem"
    UNKNOWN = "?"
    ABSENT = "-"  # there is no such thing where AWS is emulated


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what to do if it is not well."""

    what: str
    mark: Mark
    detail: str
    remedy: str = ""


@dataclass
class Account:
    """The environment's account, to be asked from several threads."""

    access: Access
    session: boto3.Session
    _lock: Lock = field(default_factory=Lock)

    @property
    def environment(self) -> Environment:
        """Its settings."""
        return self.access.environment

    def client(self, service: str, region: str | None = None) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        """A client of a service, in the environment's region unless another is named."""
        with self._lock:  # a session makes one client at a time
            return self.session.client(  # type: ignore[call-overload]
                service, region_name=region or self.environment.region, config=PATIENCE
            )

    @property
    def emulated(self) -> bool:
        """Whether AWS is a program of this machine."""
        return urlsplit(self.client("sts").meta.endpoint_url).hostname in ("127.0.0.1", "::1", "localhost")

    def has_stack(self, name: str) -> bool:
        """Whether the environment's stack of this name is deployed."""
        try:
            self.client("cloudformation").describe_stacks(StackName=f"litellm-{self.environment.name}-{name}")
        except aws.ClientError as error:
            if _code(error) == "ValidationError":  # how CloudFormation says that it does not exist
                return False
            raise
        return True


Check = Callable[[Account], Iterable[Finding]]


def _well(what: str, detail: str) -> Finding:
    return Finding(what, Mark.WELL, detail)


def _problem(what: str, detail: str, remedy: str) -> Finding:
    return Finding(what, Mark.PROBLEM, detail, remedy)


def _code(error: aws.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


# --- The account, its region and what `cdk bootstrap` has made in it ------------------------------------------------


def credentials(account: Account) -> Iterator[Finding]:
    """Who asks; that it is the environment's account is known by now."""
    who = account.access.session.client("sts").get_caller_identity()["Arn"]
    yield _well("credentials", f"{who}, by the account's lookup role" if account.access.by_roles else str(who))


def region(account: Account) -> Iterator[Finding]:
    """The region is enabled."""
    name = account.environment.region
    status = account.client("account").get_region_opt_status(RegionName=name)["RegionOptStatus"]
    if status in ("ENABLED", "ENABLED_BY_DEFAULT"):
        yield _well("region", f"{name} is enabled")
    else:
        remedy = f"run `aws account enable-region --region-name {name}`, and wait until it is ENABLED."
        yield _problem("region", f"{name} is {status}", remedy)


def services(account: Account) -> Iterator[Finding]:
    """The region has the services that the settings need; what is not in the list may be there by now."""
    name = account.environment.region
    for service in lacking(account.environment):
        detail = f"{service} is not known to be in {name}: look at AWS's list of services by region."
        yield Finding(f"service: {service}", Mark.UNKNOWN, detail)


def zones(account: Account) -> Iterator[Finding]:
    """The account has the zones of the settings: older ones are not given to new accounts."""
    wanted = account.environment.network.zones
    found = account.client("ec2").describe_availability_zones()["AvailabilityZones"]
    usable = {zone["ZoneName"] for zone in found if zone["State"] == "available"}
    if missing := [zone for zone in wanted if zone not in usable]:
        yield _problem(
            "zones",
            f"the account has no {', '.join(missing)}",
            f"name others in network.zones of company/environments.py: there are {', '.join(sorted(usable))}.",
        )
    else:
        yield _well("zones", ", ".join(wanted))


def _pipeline_account(environment: Environment, releases: Releases | None) -> str | None:
    """The account that CodePipeline releases to the environment from, if that is another one."""
    if not releases or not releases.connection_arn or environment.name not in releases.environments:
        return None
    return releases.account if releases.account != environment.account else None


def bootstrap_command(environment: Environment, releases: Releases | None) -> str:
    """What bootstraps the environment's account for who releases to it."""
    command = f"cdk bootstrap aws://{environment.account}/{environment.region}"
    if not (trusted := _pipeline_account(environment, releases)):
        return command
    return (
        f"{command} --trust {trusted} --cloudformation-execution-policies arn:aws:iam::aws:policy/AdministratorAccess"
    )


def required_bootstrap() -> int:
    """The bootstrap version that stacks of the installed CDK need, as it writes it down for any of them.

    Raises
    ------
    OpsError
        There is no Node, which the CDK runs in.
    """
    if not NODE.exists():
        raise OpsError("the CDK cannot be asked which version it needs: it is not installed; run make setup.")
    os.environ.setdefault("JSII_NODE", str(NODE))
    import aws_cdk as cdk  # takes a second or two, and only this check needs it

    with tempfile.TemporaryDirectory() as folder:
        app = cdk.App(outdir=folder, analytics_reporting=False)
        stack = cdk.Stack(app, "Any", env=cdk.Environment(account="0" * 12, region="us-east-1"))
        cdk.CfnWaitConditionHandle(stack, "Nothing")  # a template without resources is not valid
        app.synth()
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
    artifact = manifest["artifacts"]["Any"]["properties"]
    return max(int(part["requiresBootstrapStackVersion"]) for part in (artifact, artifact["lookupRole"]))


def bootstrap(account: Account) -> Iterator[Finding]:
    """The account is bootstrapped, with what the CDK needs."""
    remedy = f"run `{bootstrap_command(account.environment, promotion())}` with an administrator's credentials."
    name = f"/cdk-bootstrap/{QUALIFIER}/version"
    try:
        version = int(account.client("ssm").get_parameter(Name=name)["Parameter"]["Value"])
    except aws.ClientError as error:
        if _code(error) != "ParameterNotFound":
            raise
        yield _problem("bootstrap", f"there is no parameter {name}", remedy)
        return
    needed = required_bootstrap()
    if version < needed:
        yield _problem("bootstrap", f"version {version}, and the CDK needs {needed}", remedy)
    else:
        yield _well("bootstrap", f"version {version}; the CDK needs {needed}")


def trust(account: Account) -> Iterator[Finding]:
    """The bootstrap's roles may be assumed by the account that CodePipeline releases from."""
    environment = account.environment
    if not (trusted := _pipeline_account(environment, promotion())):
        return
    roles: tuple[Role, ...] = ("lookup", "file-publishing", "deploy")
    if distrustful := [role for role in roles if not _trusts(account, role, trusted)]:
        yield _problem(
            "bootstrap's trust",
            f"the roles {', '.join(distrustful)} do not trust account {trusted}, which releases",
            f"run `{bootstrap_command(environment, promotion())}` with an administrator's credentials.",
        )
    else:
        yield _well("bootstrap's trust", f"its roles trust account {trusted}, which releases")


def _trusts(account: Account, role: Role, trusted: str) -> bool:
    """Whether the role is there and its policy names the account, or all of it (`…:root`), as a principal."""
    name = account.access.role_arn(role).rpartition("/")[2]
    try:
        document = account.client("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    except aws.ClientError as error:
        if _code(error).startswith("NoSuchEntity"):
            return False
        raise
    principals: list[str] = []
    for statement in document["Statement"]:
        named = statement.get("Principal", {}).get("AWS", []) if statement["Effect"] == "Allow" else []
        principals += [named] if isinstance(named, str) else named
    return any(principal == trusted or principal.split(":")[4:5] == [trusted] for principal in principals)


def container_role(account: Account) -> Iterator[Finding]:
    """ECS has its role. It makes it together with an account's first cluster, whose creation then mostly fails.

    https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/818
    """
    what, name = "role of ECS", "AWSServiceRoleForECS"
    if account.has_stack("gateway"):
        return  # so it has one
    try:
        account.client("iam").get_role(RoleName=name)
    except aws.ClientError as error:
        if not _code(error).startswith("NoSuchEntity"):
            raise
        remedy = "run `aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com` before the first one."
        yield _problem(what, f"there is no {name}, and the first cluster would fail without", remedy)
    else:
        yield _well(what, name)


# --- Quotas ---------------------------------------------------------------------------------------------------------


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
        told = f"{given:g}, and {need.amount:g} needed: {need.reason}"
        if given >= need.amount:
            yield _well(what, told)
            return
        yield _problem(
            what,
            told,
            f"run `aws service-quotas request-service-quota-increase --region {account.environment.region} "
            f"--service-code {self.service} --quota-code {self.code} --desired-value {need.amount:g}`; AWS may take "
            "days to answer.",
        )

    def value(self, quotas: Any) -> float:  # noqa: ANN401 - a client
        """The account's own value, or AWS's default where it has none."""
        try:
            answer = quotas.get_service_quota(ServiceCode=self.service, QuotaCode=self.code)
        except aws.ClientError as error:
            if _code(error) != "NoSuchResourceException":
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
        f"2 x {settings.max_tasks} tasks of {settings.cpu / 1024:g} vCPU while a deployment runs",
    )


def _on_demand_cpus(account: Account) -> Need:
    settings = account.environment.gateway
    migration = settings.cpu / 1024
    if settings.spot:
        return Need(migration, f"the migration's {migration:g} vCPU")
    rollout = _rollout(account)
    return Need(rollout.amount + migration, f"{rollout.reason}, and {migration:g} for the migration")


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
        yield _well(what, f"{limit}")
        return
    yield _problem(
        what,
        f"{limit} functions at once in the whole account, so that Slack's requests may find none",
        f"run `aws service-quotas request-service-quota-increase --region {account.environment.region} "
        "--service-code lambda --quota-code L-B99A9384 --desired-value 1000`.",
    )


# --- Models ---------------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """One of Bedrock's models or inference profiles, called in a region."""

    region: str
    name: str  # the id of a model; of a profile, id or ARN


@dataclass(frozen=True)
class Calls:
    """What config.yaml calls of Bedrock, and where the task's role lets a profile's requests be sent to."""

    models: frozenset[Call]
    profiles: Mapping[Call, frozenset[Call]]  # each with the models that a request may end at
    others: frozenset[str]  # ARNs of what a company has of its own: provisioned, imported, …


def calls_of(config: LiteLlmConfig, account_id: str) -> Calls:
    """What config.yaml calls. Of a global profile's models only the one in the calling region counts: see the role."""
    models: set[Call] = set()
    profiles: dict[Call, frozenset[Call]] = {}
    others: set[str] = set()
    for entry in config.models:
        if entry.provider != "bedrock":
            continue
        through: set[Call] = set()
        ends: set[Call] = set()
        for arn in entry.bedrock_resources(partition="aws", account=account_id):
            *_, place, _, resource = arn.split(":", 5)
            kind, _, name = resource.partition("/")
            if kind == "foundation-model":
                ends.add(Call(place, name))
            elif kind == "inference-profile":
                through.add(Call(place, name))
            elif kind == "application-inference-profile":
                through.add(Call(place, arn))
            else:
                others.add(arn)
        profiles |= dict.fromkeys(through, frozenset(ends))
        models |= ends if not through else set()
    return Calls(frozenset(models), profiles, frozenset(others))


def _litellm_config(environment: Environment) -> LiteLlmConfig:
    return environment.litellm_config(config_file())


def model_access(account: Account) -> Iterator[Finding]:
    """Bedrock's models may be called wherever a request for them may be sent: a line for each model and profile."""
    yield from access_to(account, calls_of(_litellm_config(account.environment), account.environment.account))


def access_to(account: Account, calls: Calls) -> Iterator[Finding]:
    """As `model_access`, of what is called."""
    with ThreadPoolExecutor(WORKERS) as pool:
        asked = list(pool.map(lambda call: _profile(account, call), sorted(calls.profiles)))
        routed = {
            end
            for call, (_, ends) in zip(sorted(calls.profiles), asked, strict=True)
            for end in calls.profiles[call] & ends
        }
        models = list(pool.map(lambda call: _model(account, call), sorted(calls.models | routed)))
    yield from _by_name([answer for answer, _ in asked])
    yield from _by_name(models)
    for arn in sorted(calls.others):
        yield Finding(f"Bedrock: {arn}", Mark.UNKNOWN, "this command does not know how to look at such a model")


class Answer(NamedTuple):
    """What Bedrock says of a model or profile in one region: `problem` is empty if it may be called."""

    name: str
    region: str
    mark: Mark
    problem: str = ""
    remedy: str = ""


def _by_name(answers: Collection[Answer]) -> Iterator[Finding]:
    """A finding for each name, and all of its regions that have the same answer."""
    for name in sorted({answer.name for answer in answers}):
        own = [answer for answer in answers if answer.name == name]
        for mark, problem, remedy in dict.fromkeys(answer[2:] for answer in own):
            regions = ", ".join(answer.region for answer in own if answer[2:] == (mark, problem, remedy))
            yield Finding(f"Bedrock: {name}", mark, f"{problem or 'may be called'} in {regions}", remedy)


def _profile(account: Account, call: Call) -> tuple[Answer, frozenset[Call]]:
    """What Bedrock says of an inference profile, and the models that it sends requests to."""
    answered = partial(Answer, f"profile {call.name}", call.region)
    try:
        answer = account.client("bedrock", call.region).get_inference_profile(inferenceProfileIdentifier=call.name)
    except (aws.ClientError, aws.BotoCoreError) as error:
        if not _is_unknown_model(error):
            return answered(Mark.UNKNOWN, explain(error).rstrip(".")), frozenset()
        remedy = "correct its id in company/config.yaml: `aws bedrock list-inference-profiles --region …` has them."
        return answered(Mark.PROBLEM, "there is no such profile", remedy), frozenset()
    arns = [model["modelArn"].split(":", 5) for model in answer["models"]]
    ends = frozenset(Call(place, resource.partition("/")[2]) for *_, place, _, resource in arns)
    if answer["status"] != "ACTIVE":
        remedy = "name another one in company/config.yaml."
        return answered(Mark.PROBLEM, f"it is {answer['status']}", remedy), ends
    return answered(Mark.WELL), ends


def _model(account: Account, call: Call) -> Answer:
    answered = partial(Answer, call.name, call.region)
    try:
        answer = account.client("bedrock", call.region).get_foundation_model_availability(modelId=call.name)
    except (aws.ClientError, aws.BotoCoreError) as error:
        if not _is_unknown_model(error):
            return answered(Mark.UNKNOWN, explain(error).rstrip("."))
        remedy = "correct its id in company/config.yaml: `aws bedrock list-foundation-models --region …` has them."
        return answered(Mark.PROBLEM, "there is no such model", remedy)
    problem, remedy = _refusal(call.name, answer)
    return answered(Mark.PROBLEM if problem else Mark.WELL, problem, remedy)


def _is_unknown_model(error: Exception) -> bool:
    known = ("ResourceNotFoundException", "ValidationException")
    return isinstance(error, aws.ClientError) and _code(error) in known


def _refusal(model: str, answer: Mapping[str, Any]) -> tuple[str, str]:
    """Why a model may not be called, and what to do; empty if it may.

    https://docs.aws.amazon.com/bedrock/latest/userguide/model-access.html
    """
    if answer["regionAvailability"] != "AVAILABLE":
        return "it is not offered", "take another region, or another profile, in company/config.yaml."
    if (agreement := answer["agreementAvailability"]["status"]) != "AVAILABLE":
        return f"its agreement is {agreement}", (
            f"open {model} in the model catalog of Bedrock's console, once in the account, and accept its terms "
            "(Anthropic asks for the use case too; `aws bedrock create-foundation-model-agreement` does the same)."
        )
    if answer["authorizationStatus"] != "AUTHORIZED":
        return "the account is not authorized", (
            "have whoever manages the organization permit it: a service control policy, or AWS Marketplace's "
            "permissions, forbid it."
        )
    if answer["entitlementAvailability"] != "AVAILABLE":
        return "the account is not entitled to it", (
            f"open {model} in the model catalog of Bedrock's console and ask for access; the account needs a valid way "
            "to pay."
        )
    return "", ""


# --- Names, certificates and mail -----------------------------------------------------------------------------------


def hosted_zone(account: Account) -> Iterator[Finding]:
    """The hosted zone is there, public, and what the world's DNS asks."""
    what, zone = "hosted zone", account.environment.hosted_zone
    try:
        answer = account.client("route53").get_hosted_zone(Id=zone.id)
    except aws.ClientError as error:
        if _code(error) != "NoSuchHostedZone":
            raise
        yield _problem(
            what,
            f"the account has no {zone.id}",
            f"run `aws route53 create-hosted-zone --name {zone.name} --caller-reference gateway`, and write its id "
            "into hosted_zone of company/environments.py.",
        )
        return
    name = answer["HostedZone"]["Name"].rstrip(".")
    if name != zone.name or answer["HostedZone"]["Config"].get("PrivateZone"):
        kind = "private zone" if answer["HostedZone"]["Config"].get("PrivateZone") else "zone"
        yield _problem(
            what,
            f"{zone.id} is the {kind} {name}",
            f"write the id of the public zone {zone.name} into hosted_zone of company/environments.py.",
        )
        return
    yield _well(what, f"{zone.id} is the public zone {name}")
    if account.emulated:
        yield Finding("delegation", Mark.ABSENT, "the world's DNS does not know the zones of an emulated AWS")
        return
    yield _delegation(name, {server.rstrip(".").lower() for server in answer["DelegationSet"]["NameServers"]})


def _delegation(zone: str, own: set[str]) -> Finding:
    """The zone's name servers are those that its parent names."""
    try:
        delegated = name_servers(zone)
    except (OSError, ValueError) as error:
        return Finding("delegation", Mark.UNKNOWN, f"{urlsplit(DNS).hostname} gave no answer ({type(error).__name__})")
    if delegated and delegated <= own:
        return _well("delegation", f"{zone} is delegated to {', '.join(sorted(delegated))}")
    parent = zone.partition(".")[2]
    detail = f"to {', '.join(sorted(delegated))}, which is another zone" if delegated else "to nobody"
    return _problem(
        "delegation",
        f"{zone} is delegated {detail}",
        f"enter an NS record for {zone} in {parent}, or at its registrar, with {', '.join(sorted(own))}.",
    )


def name_servers(zone: str) -> set[str]:
    """The name servers that the world's DNS finds for a zone, in lower case, without a closing dot; none: no zone.

    Raises
    ------
    OSError, ValueError
        DNS could not be asked, or could not tell.
    """
    query = urllib.parse.urlencode({"name": zone, "type": "NS"})
    with urllib.request.urlopen(f"{DNS}?{query}", timeout=DNS_PATIENCE) as answer:  # noqa: S310 - a fixed https URL
        document = json.load(answer)
    no_error, no_such_name, name_server = 0, 3, 2  # RFC 1035
    if document["Status"] not in (no_error, no_such_name):
        raise ValueError(f"DNS status {document['Status']}")
    return {
        record["data"].rstrip(".").lower() for record in document.get("Answer", []) if record["type"] == name_server
    }


def certificate(account: Account) -> Iterator[Finding]:
    """The certificate of the settings is issued and is the domain's; without one, the deployment makes it."""
    environment = account.environment
    if not environment.certificate_arn:
        return
    what = "certificate"
    try:
        found = account.client("acm").describe_certificate(CertificateArn=environment.certificate_arn)["Certificate"]
    except aws.ClientError as error:
        if _code(error) != "ResourceNotFoundException":
            raise
        remedy = "correct certificate_arn in company/environments.py, or leave it out: the deployment makes one then."
        yield _problem(what, f"there is no {environment.certificate_arn}", remedy)
        return
    names = {found["DomainName"], *found.get("SubjectAlternativeNames", [])}
    if found["Status"] != "ISSUED":
        remedy = (
            "prove that the domain is yours (Certificate Manager's console shows how), or take another certificate."
        )
        yield _problem(what, f"it is {found['Status']}", remedy)
    elif not names & {environment.domain, f"*.{environment.domain.partition('.')[2]}"}:
        remedy = (
            f"take one of {environment.domain} for certificate_arn, or leave it out: the deployment makes one then."
        )
        yield _problem(what, f"it is of {', '.join(sorted(names))}", remedy)
    else:
        yield _well(what, f"issued for {', '.join(sorted(names))}")


def mail(account: Account) -> Iterator[Finding]:
    """SES sends to anybody, and has not been stopped."""
    what, environment = "mail", account.environment
    found = account.client("sesv2").get_account()
    quota = f"{found['SendQuota']['Max24HourSend']:g} mails a day, {found['SendQuota']['MaxSendRate']:g} a second"
    if not found["ProductionAccessEnabled"]:
        yield _problem(
            what,
            f"SES is in its sandbox ({quota}): only verified addresses get invitations",
            f"run `aws sesv2 put-account-details --region {environment.region} --production-access-enabled "
            f"--mail-type TRANSACTIONAL --website-url https://{environment.domain}`; AWS answers within a day.",
        )
    elif not found["SendingEnabled"] or found.get("EnforcementStatus", "HEALTHY") != "HEALTHY":
        yield _problem(
            what,
            f"SES has the account under {found.get('EnforcementStatus', 'review')}, and sending is "
            f"{'on' if found['SendingEnabled'] else 'off'}",
            "see the reputation page of SES's console for the reason, mend it, and answer the case of AWS Support.",
        )
    else:
        yield _well(what, f"SES is out of its sandbox: {quota}")


def slack_workspace(account: Account) -> Iterator[Finding]:
    """Amazon Q Developer may post to the workspace of the alarms: a person has to let it in, in the console."""
    workspace = account.environment.alarms.workspace
    if not workspace:
        return
    what = "Slack workspace"
    found = account.client("chatbot", CHATBOT_REGION).describe_slack_workspaces()["SlackWorkspaces"]
    if workspace in {each["SlackTeamId"] for each in found if each.get("State", "ENABLED") == "ENABLED"}:
        yield _well(what, f"{workspace} has let Amazon Q Developer in chat applications in")
        return
    yield _problem(
        what,
        f"{workspace}, of alarms, has not let Amazon Q Developer in chat applications in",
        "open its console, choose Configure new client, Slack, and allow it for the workspace; the deployment fails "
        "without.",
    )


# --- Secrets and an existing network --------------------------------------------------------------------------------


def secrets(account: Account) -> Iterator[Finding]:
    """The secrets that people give are there, encrypted."""
    what, environment = "secrets", account.environment
    names = required_secrets(environment)
    parameters = Store(environment, account.client("ssm")).parameters(names)
    if missing := [name for name in names if name not in parameters]:
        yield _problem(what, f"missing: {', '.join(missing)}", f"run `make secrets ENV={environment.name}`.")
    if wrong := [environment.parameter(name) for name, found in parameters.items() if not found.is_secret]:
        yield _problem(
            what,
            f"not encrypted: {', '.join(wrong)}",
            f"delete each (aws ssm delete-parameter --name …), and run `make secrets ENV={environment.name}` with new "
            "values: the old ones may have been seen.",
        )
    if not missing and not wrong:
        yield _well(what, f"all {len(names)} are in {environment.parameter_prefix}")


def existing_vpc(account: Account) -> Iterator[Finding]:
    """A VPC that is there already is as the settings say."""
    if vpc := account.environment.network.vpc:
        yield _vpc(account, vpc)
        yield _subnets(account, vpc)
        if account.environment.ingress.public:
            yield _nat_addresses(account, vpc)


def _vpc(account: Account, vpc: ExistingVpc) -> Finding:
    cidr, remedy = str(account.environment.network.cidr), "correct network in company/environments.py."
    try:
        (found,) = account.client("ec2").describe_vpcs(VpcIds=[vpc.id])["Vpcs"]
    except aws.ClientError as error:
        if not _code(error).startswith("InvalidVpcID"):
            raise
        return _problem("VPC", f"there is no {vpc.id} in {account.environment.region}", remedy)
    ranges = [each["CidrBlock"] for each in found["CidrBlockAssociationSet"]]
    if cidr not in ranges:
        return _problem("VPC", f"{vpc.id} has {', '.join(ranges)}, and network.cidr is {cidr}", remedy)
    return _well("VPC", f"{vpc.id} with {cidr}")


def _subnets(account: Account, vpc: ExistingVpc) -> Finding:
    remedy = "name one subnet a zone, in the order of network.zones, in company/environments.py."
    order = account.environment.network.zones * 3
    ids = (*vpc.public_subnet_ids, *vpc.private_subnet_ids, *vpc.isolated_subnet_ids)
    try:
        found = account.client("ec2").describe_subnets(SubnetIds=list(ids))["Subnets"]
    except aws.ClientError as error:
        if not _code(error).startswith("InvalidSubnetID"):
            raise
        return _problem("subnets", "one of those in network.vpc does not exist", remedy)
    places = {subnet["SubnetId"]: (subnet["VpcId"], subnet["AvailabilityZone"]) for subnet in found}
    if wrong := [id_ for id_, zone in zip(ids, order, strict=True) if places[id_] != (vpc.id, zone)]:
        return _problem("subnets", f"not of {vpc.id}, or not in their zone: {', '.join(wrong)}", remedy)
    return _well("subnets", f"{len(ids)}, each in its zone")


def _nat_addresses(account: Account, vpc: ExistingVpc) -> Finding:
    """The addresses that the private subnets are seen with, which the load balancer lets the smoke test in from."""
    what, named = "NAT addresses", {str(address) for address in vpc.nat_addresses}
    pages = (
        account.client("ec2")
        .get_paginator("describe_nat_gateways")
        .paginate(Filter=[{"Name": "vpc-id", "Values": [vpc.id]}, {"Name": "state", "Values": ["available"]}])
    )
    gateways = [gateway for page in pages for gateway in page["NatGateways"]]
    found = {at["PublicIp"] for gateway in gateways for at in gateway["NatGatewayAddresses"] if at.get("PublicIp")}
    if not named or not found <= named:
        lacking = ", ".join(sorted(found - named)) or "the public addresses that the private subnets are seen with"
        remedy = f"add {lacking} to network.vpc.nat_addresses in company/environments.py."
        return _problem(what, "the smoke test would not be let in to the public load balancer", remedy)
    return _well(what, ", ".join(sorted(named)))


# --- The command ----------------------------------------------------------------------------------------------------


CHECKS: Final[Mapping[str, Check]] = {
    "credentials": credentials,
    "region": region,
    "services": services,
    "zones": zones,
    "bootstrap": bootstrap,
    "bootstrap's trust": trust,
    "role of ECS": container_role,
    "secrets": secrets,
    "hosted zone": hosted_zone,
    "certificate": certificate,
    "mail": mail,
    "Slack workspace": slack_workspace,
    "VPC": existing_vpc,
    **{f"quota: {quota.what}": quota for quota in QUOTAS},
    "quota: Lambda concurrency": functions_at_once,
    "Bedrock": model_access,
}
"""Every check by what it looks at, in the order of the lines."""


def examine(account: Account, checks: Mapping[str, Check] = CHECKS) -> list[Finding]:
    """What the checks find, in their order. One that fails is a finding too."""

    def examined(item: tuple[str, Check]) -> list[Finding]:
        what, check = item
        found: list[Finding] = []
        try:
            found.extend(check(account))
        except (OpsError, SettingsError, ConfigError) as error:
            found.append(Finding(what, Mark.UNKNOWN, str(error)))
        except (aws.BotoCoreError, aws.ClientError) as error:
            found.append(Finding(what, Mark.UNKNOWN, explain(error)))
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        return [finding for found in pool.map(examined, checks.items()) for finding in found]


def table(findings: Iterable[Finding]) -> str:
    """A line a finding, its remedy below it, and how it is as a whole."""
    findings = tuple(findings)
    width = max(len(finding.what) for finding in findings)
    lines: list[str] = []
    for finding in findings:
        lines.append(f"  {finding.mark:7}  {finding.what:{width}}  {finding.detail}")
        if finding.remedy:
            lines.append(f"  {'':7}  {'':{width}}  -> {finding.remedy}")
    return "\n".join((*lines, summary(findings)))


def summary(findings: Iterable[Finding]) -> str:
    """How it is as a whole, in one sentence."""
    marks = [finding.mark for finding in findings]
    problems, unknown = marks.count(Mark.PROBLEM), marks.count(Mark.UNKNOWN)
    if not problems and not unknown:
        return "All is well."
    told = [f"{problems} problem{'s' if problems > 1 else ''}"] if problems else []
    return ", ".join([*told, f"{unknown} could not be looked at"] if unknown else told) + "."


def exit_code(findings: Iterable[Finding]) -> int:
    """1 if there is a problem, else 2 if something could not be looked at, else 0."""
    marks = {finding.mark for finding in findings}
    return 1 if Mark.PROBLEM in marks else 2 if Mark.UNKNOWN in marks else 0


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.doctor", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
    result.add_argument("--assume-roles", action="store_true", help="credentials are of the account that releases")
    result.add_argument("--json", action="store_true", help="a JSON list, for another program")
    return result


def main(argv: list[str] | None = None, *, session: boto3.Session | None = None) -> int:
    """Run the command and return its exit code. Tests give the session."""
    arguments = parser().parse_args(argv)

    def work() -> int:
        environment = environment_named(arguments.env)
        access = connect(environment, session, assume_roles=arguments.assume_roles)
        if not arguments.json:
            print(f"{environment.name}: account {environment.account}, {environment.region}", flush=True)
        findings = examine(Account(access, access.acting_as("lookup")))
        if arguments.json:
            print(json.dumps([asdict(finding) for finding in findings], indent=1))
        else:
            print(table(findings))
        return exit_code(findings)

    return run("doctor", work)


if __name__ == "__main__":
    sys.exit(main())
