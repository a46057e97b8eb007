"""ops/doctor: what it finds in accounts of every kind, and what it says to do."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from ipaddress import IPv4Address
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any
from unittest import mock

import pytest

from ops.access import Access
from ops.doctor import bootstrap, domain, models, roles
from ops.doctor.__main__ import main
from ops.doctor.account import Account
from ops.doctor.bootstrap import LINKED_ROLES, LinkedRole
from ops.doctor.copies import There, copies
from ops.doctor.examination import CHECKS, examine
from ops.doctor.finding import Finding, Mark
from ops.doctor.messages import slack_workspace
from ops.doctor.models import Call, calls_of
from ops.doctor.network import endpoints_of_existing_vpc, existing_vpc
from ops.doctor.region import credentials
from ops.secrets import required_secrets
from stacks.company import environments, promotion
from stacks.litellm_config import load_config
from stacks.litellm_config.made import Made
from stacks.settings import Copies, Database, Environment, ExistingVpc, Gateway
from tests.unit.fake_aws import Answer, Answers, FakeAws, refusal

PROD = environments()["prod"]
# Not on Spot, whose quota is another one.
DEV = environments()["dev"].model_copy(update={"gateway": Gateway()})
OWN_SERVERS = ["ns-1.awsdns-01.com", "ns-2.awsdns-02.net"]
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def secret(name: str, kind: str = "SecureString", environment: Environment = DEV) -> dict[str, Any]:
    return {"Name": environment.parameter(name), "Type": kind, "Version": 1, "LastModifiedDate": NOW}


def role(trusted: str | list[str]) -> dict[str, Any]:
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": trusted}},
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "x.amazonaws.com"}},
        ],
    }
    return {
        "Role": {
            "Path": "/",
            "RoleName": "any",
            "RoleId": "AROAEXAMPLEEXAMPLE",
            "Arn": "arn:aws:iam::111111111111:role/any",
            "CreateDate": NOW,
            "AssumeRolePolicyDocument": json.dumps(document),
        }
    }


def quota(value: float) -> dict[str, Any]:
    return {"Quota": {"Value": value}}


def available(**differences: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of an answer
    return {
        "modelId": "any",
        "agreementAvailability": {"status": "AVAILABLE"},
        "authorizationStatus": "AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": "AVAILABLE",
        **differences,
    }


def profile(inferenceProfileIdentifier: str, status: str = "ACTIVE") -> dict[str, Any]:  # noqa: N803 - boto3's
    """As AWS answers: one that routes to two regions, and to a third that the role does not permit."""
    model = inferenceProfileIdentifier.partition(".")[2]
    regions = ("us-east-1", "us-west-2", "sa-east-1")
    return {
        "inferenceProfileName": "any",
        "inferenceProfileArn": "arn:aws:bedrock:us-east-1:111111111111:inference-profile/us.any",
        "inferenceProfileId": inferenceProfileIdentifier,
        "models": [{"modelArn": f"arn:aws:bedrock:{region}::foundation-model/{model}"} for region in regions],
        "status": status,
        "type": "SYSTEM_DEFINED",
    }


def zone(name: str = "dev.example.com.", *, private: bool = False) -> dict[str, Any]:
    return {
        "HostedZone": {
            "Id": "/hostedzone/Z1",
            "Name": name,
            "CallerReference": "any",
            "Config": {"PrivateZone": private},
        },
        "DelegationSet": {"NameServers": OWN_SERVERS},
    }


def mail(**differences: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of an answer
    return {
        "ProductionAccessEnabled": True,
        "SendingEnabled": True,
        "EnforcementStatus": "HEALTHY",
        "SendQuota": {"Max24HourSend": 50000.0, "MaxSendRate": 14.0},
        **differences,
    }


def well() -> Answers:
    """An account in which dev may be deployed, and is not yet."""
    releases = promotion()
    assert releases
    return {
        ("sts", "get_caller_identity"): {"Account": DEV.account, "Arn": "arn:aws:sts::111111111111:assumed-role/sre"},
        ("account", "get_region_opt_status"): {"RegionName": DEV.region, "RegionOptStatus": "ENABLED_BY_DEFAULT"},
        ("ec2", "describe_availability_zones"): {
            "AvailabilityZones": [{"ZoneName": f"ap-northeast-1{z}", "State": "available"} for z in "acd"]
        },
        ("ssm", "get_parameter"): {"Parameter": {"Name": "any", "Type": "String", "Value": "30"}},
        ("iam", "get_role"): role([f"arn:aws:iam::{releases.account}:root"]),
        ("cloudformation", "describe_stacks"): refusal("ValidationError", "Stack does not exist"),
        ("ssm", "describe_parameters"): {"Parameters": [secret(name) for name in required_secrets(DEV)]},
        ("route53", "get_hosted_zone"): zone(),
        ("sesv2", "get_account"): mail(),
        ("service-quotas", "get_service_quota"): quota(100),
        ("ec2", "describe_addresses"): {"Addresses": [{"PublicIp": "192.0.2.1"}]},
        ("ec2", "describe_vpcs"): {"Vpcs": [{"VpcId": "vpc-1", "IsDefault": True}]},
        ("rds", "describe_db_clusters"): {"DBClusters": [{"DBClusterIdentifier": "others"}]},
        ("lambda", "get_account_settings"): {"AccountLimit": {"ConcurrentExecutions": 1000}},
        ("bedrock", "get_inference_profile"): profile,
        ("bedrock", "get_foundation_model_availability"): available(),
    }


@pytest.fixture(autouse=True)
def _outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS delegates to the zone's own servers, and the CDK needs version 8."""
    monkeypatch.setattr(domain, "name_servers", lambda zone: set(OWN_SERVERS))
    monkeypatch.setattr(bootstrap, "required_bootstrap", lambda: 8)


def findings(answers: Answers, environment: Environment = DEV, **arguments: Any) -> list[Finding]:  # noqa: ANN401
    session = FakeAws(answers, **arguments).session
    return examine(Account(Access(environment, session), session))


def of(found: list[Finding], what: str) -> Finding:
    (only,) = (finding for finding in found if finding.what == what)
    return only


def run(answers: Answers, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with mock.patch("ops.doctor.__main__.environment_named", {"dev": DEV}.__getitem__):
        code = main(["--env", "dev", *arguments], session=FakeAws(answers).session)
    return code, *capsys.readouterr()


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(well(), capsys)
    assert (code, err) == (0, "")
    first, *lines, last = out.splitlines()
    assert first == "dev: account 111111111111, ap-northeast-1"
    assert last == "All is well."
    assert [line for line in lines if not line.startswith("  ok ")] == []
    assert "arn:aws:sts::111111111111:assumed-role/sre" in lines[0]
    for what in ("bootstrap's trust", "role of ECS", "delegation", "quota: VPCs", "Bedrock: profile us."):
        assert any(what in line for line in lines), what


def test_a_program_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(well() | {("sesv2", "get_account"): mail(ProductionAccessEnabled=False)}, capsys, "--json")
    (found,) = (finding for finding in json.loads(out) if finding["what"] == "mail")
    assert code == 1
    assert found["mark"] == "problem"
    assert found.keys() == {"what", "mark", "detail", "remedy"}


PROBLEMS: list[tuple[tuple[str, str], Answer, str, str, str]] = [
    (
        ("account", "get_region_opt_status"),
        {"RegionOptStatus": "DISABLED"},
        *("region", "ap-northeast-1 is DISABLED", "aws account enable-region --region-name ap-northeast-1"),
    ),
    (
        ("ec2", "describe_availability_zones"),
        {"AvailabilityZones": [{"ZoneName": "ap-northeast-1d", "State": "available"}]},
        *("zones", "no ap-northeast-1a, ap-northeast-1c", "there are ap-northeast-1d"),
    ),
    (
        ("ssm", "get_parameter"),
        refusal("ParameterNotFound"),
        *("bootstrap", "/cdk-bootstrap/hnb659fds/version", "cdk bootstrap aws://111111111111/ap-northeast-1 --trust"),
    ),
    (
        ("ssm", "get_parameter"),
        {"Parameter": {"Value": "7"}},
        *(
            "bootstrap",
            "version 7, and the CDK needs 8",
            "cdk bootstrap aws://111111111111/ap-northeast-1 --trust 4444",
        ),
    ),
    (
        ("iam", "get_role"),
        role("arn:aws:iam::999999999999:root"),
        *("bootstrap's trust", "lookup, file-publishing, deploy do not trust account 444444444444", "--trust 44444444"),
    ),
    (
        ("iam", "get_role"),
        refusal("NoSuchEntity"),
        *("bootstrap's trust", "do not trust", "--cloudformation-execution-policies"),
    ),
    (
        ("iam", "get_role"),
        refusal("NoSuchEntity"),
        *("role of ECS", "AWSServiceRoleForECS", "aws iam create-service-linked-role"),
    ),
    (
        ("ssm", "describe_parameters"),
        {"Parameters": [secret(name) for name in required_secrets(DEV) if name != "DD_API_KEY"]},
        *("secrets", "missing: DD_API_KEY", "make secrets ENV=dev"),
    ),
    (
        ("ssm", "describe_parameters"),
        {"Parameters": [secret(n, "String" if n == "UI_PASSWORD" else "SecureString") for n in required_secrets(DEV)]},
        *("secrets", "not encrypted: /litellm/dev/UI_PASSWORD", "aws ssm delete-parameter"),
    ),
    (
        ("route53", "get_hosted_zone"),
        refusal("NoSuchHostedZone"),
        *("hosted zone", "Z0111111DEVEXAMPLE", "aws route53 create-hosted-zone --name dev.example.com"),
    ),
    (
        ("route53", "get_hosted_zone"),
        zone("other.com."),
        "hosted zone",
        "zone other.com",
        "the public zone dev.example",
    ),
    (("route53", "get_hosted_zone"), zone(private=True), "hosted zone", "private zone", "the public zone dev.example"),
    (
        ("sesv2", "get_account"),
        mail(ProductionAccessEnabled=False),
        *("mail", "sandbox", "aws sesv2 put-account-details --region ap-northeast-1"),
    ),
    (
        ("sesv2", "get_account"),
        mail(SendingEnabled=False, EnforcementStatus="SHUTDOWN"),
        "mail",
        "SHUTDOWN",
        "AWS Supp",
    ),
    (
        ("service-quotas", "get_service_quota"),
        quota(4),
        *(
            "quota: Fargate On-Demand vCPUs",
            "4, and 5 needed: 2 x 2 tasks of 1 vCPU",
            "--service-code fargate --quota-code L-3032A538 --desired-value 5`",
        ),
    ),
    (
        ("ec2", "describe_addresses"),
        {"Addresses": [{"PublicIp": f"192.0.2.{number}"} for number in range(100)]},
        *("quota: Elastic IP addresses", "100, and 101 needed", "--service-code ec2 --quota-code L-0263D0A3"),
    ),
    (
        ("lambda", "get_account_settings"),
        {"AccountLimit": {"ConcurrentExecutions": 10}},
        *("quota: Lambda concurrency", "10 functions at once", "L-B99A9384"),
    ),
    (
        ("bedrock", "get_foundation_model_availability"),
        available(agreementAvailability={"status": "NOT_AVAILABLE"}),
        *(
            "Bedrock: anthropic.claude-opus-5-5",
            "agreement is NOT_AVAILABLE in us-east-1, us-west-2",
            "accept its terms",
        ),
    ),
    (
        ("bedrock", "get_foundation_model_availability"),
        available(authorizationStatus="NOT_AUTHORIZED"),
        *("Bedrock: anthropic.claude-opus-5-5", "not authorized", "service control policy"),
    ),
    (
        ("bedrock", "get_foundation_model_availability"),
        available(entitlementAvailability="NOT_AVAILABLE"),
        *("Bedrock: amazon.titan-embed-text-v2:0", "not entitled", "ask for access"),
    ),
    (
        ("bedrock", "get_foundation_model_availability"),
        available(regionAvailability="NOT_AVAILABLE"),
        *("Bedrock: amazon.titan-embed-text-v2:0", "not offered in us-east-1, us-east-2, us-west-2", "another region"),
    ),
    (
        ("bedrock", "get_foundation_model_availability"),
        refusal("ResourceNotFoundException"),
        *("Bedrock: amazon.titan-embed-text-v2:0", "no such model in us-east-1,", "list-foundation-models"),
    ),
    (
        ("bedrock", "get_inference_profile"),
        refusal("ResourceNotFoundException"),
        *("Bedrock: profile us.anthropic.claude-opus-5-5", "no such profile in us-east-1,", "list-inference-profiles"),
    ),
]


@pytest.mark.parametrize(
    ("place", "answer", "what", "detail", "remedy"),
    PROBLEMS,
    ids=[f"{problem[2]}, {problem[3][:30]}" for problem in PROBLEMS],
)
def test_each_problem_has_its_remedy(
    place: tuple[str, str], answer: Answer, what: str, detail: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = well() | {place: answer}
    found = of(findings(answers), what)
    assert found.mark is Mark.PROBLEM
    assert detail in found.detail
    assert remedy in found.remedy
    code, out, _ = run(answers, capsys)
    assert code == 1
    assert f"-> {found.remedy}" in out
    assert "problem" in out.splitlines()[-1]


def test_what_aws_refuses_hides_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(well() | {("sesv2", "get_account"): refusal("AccessDeniedException")}, capsys)
    assert code == 2
    unknown = [line for line in out.splitlines() if line.startswith("  ? ")]
    assert len(unknown) == 1
    assert "mail" in unknown[0]
    assert "these AWS credentials may not do it" in unknown[0]
    assert out.endswith("1 could not be looked at.\n")
    assert out.count("  ok ") > 15


def test_a_problem_counts_more_than_what_could_not_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    answers = well() | {("sesv2", "get_account"): refusal("AccessDenied"), ("iam", "get_role"): role("4")}
    code, out, _ = run(answers, capsys)
    assert code == 1
    assert out.endswith("1 problem, 1 could not be looked at.\n")


def test_a_model_of_one_region_that_may_not_be_asked_for_is_said() -> None:
    found = findings(well() | {("bedrock", "get_foundation_model_availability@us-east-2"): refusal("AccessDenied")})
    titan = [finding for finding in found if finding.what == "Bedrock: amazon.titan-embed-text-v2:0"]
    assert [(finding.mark, finding.detail[-22:]) for finding in titan] == [
        (Mark.WELL, "in us-east-1, us-west-2"[-22:]),
        (Mark.UNKNOWN, "a role that may in us-east-2"[-22:]),
    ]


def test_other_credentials_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    answers = well() | {("sts", "get_caller_identity"): {"Account": "999999999999"}}
    code, out, err = run(answers, capsys)
    assert (code, out) == (2, "")
    assert err.startswith("doctor: these AWS credentials are of account 999999999999, but dev is in 111111111111")


def test_a_deployed_environment_needs_no_role_made_for_it() -> None:
    stack = {"StackName": "litellm-dev-gateway", "CreationTime": NOW, "StackStatus": "CREATE_COMPLETE"}
    found = findings(well() | {("cloudformation", "describe_stacks"): {"Stacks": [stack]}})
    assert not {"role of ECS", "role of RDS"} & {finding.what for finding in found}


@pytest.mark.parametrize("role", LINKED_ROLES[:2], ids=lambda role: role.what)
def test_a_new_account_lacks_the_roles_of_services(role: LinkedRole) -> None:
    found = of(findings(well() | {("iam", "get_role"): refusal("NoSuchEntity")}), role.what)
    assert found.mark is Mark.PROBLEM
    assert f"aws iam create-service-linked-role --aws-service-name {role.service}`" in found.remedy


def test_the_pipelines_own_account_needs_a_role_for_its_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    releases = promotion()
    assert releases
    answers = well() | {("iam", "get_role"): refusal("NoSuchEntity")}
    what = LINKED_ROLES[2].what
    assert what not in {finding.what for finding in findings(answers)}
    here = releases.model_copy(update={"account": DEV.account})
    monkeypatch.setattr(bootstrap, "promotion", lambda: here)
    assert of(findings(answers), what).mark is Mark.PROBLEM


def test_a_quota_that_the_account_has_no_value_of_is_awss_default() -> None:
    answers = well() | {
        ("service-quotas", "get_service_quota"): refusal("NoSuchResourceException"),
        ("service-quotas", "get_aws_default_service_quota"): quota(6),
    }
    assert of(findings(answers), "quota: Fargate On-Demand vCPUs").detail.startswith("6, and 5 needed")


def test_what_the_environment_has_itself_takes_no_more_of_a_quota() -> None:
    tag = {"Key": "aws:cloudformation:stack-name", "Value": "litellm-dev-network"}
    other = {"Key": "aws:cloudformation:stack-name", "Value": "litellm-dev2-network"}
    answers = well() | {
        ("ec2", "describe_addresses"): {"Addresses": [{"Tags": [tag]}, {"Tags": [other]}]},
        ("ec2", "describe_vpcs"): {"Vpcs": [{"VpcId": "vpc-1", "Tags": [tag]}]},
        ("rds", "describe_db_clusters"): {"DBClusters": [{"DBClusterIdentifier": "litellm-dev"}]},
    }
    found = findings(answers)
    assert of(found, "quota: Elastic IP addresses").detail == ("100, and 2 needed: 1 for NAT gateways, and 1 elsewhere")
    assert of(found, "quota: VPCs").detail == "100, and 1 needed: 1 for the gateway, and 0 elsewhere"
    assert of(found, "quota: Aurora clusters").detail.startswith("100, and 1 needed")


def test_spot_tasks_have_a_quota_of_their_own() -> None:
    spot = DEV.model_copy(update={"gateway": DEV.gateway.model_copy(update={"spot": True, "cpu": 2048})})
    found = findings(well(), spot)
    assert of(found, "quota: Fargate Spot vCPUs").detail.startswith("100, and 8 needed: 2 x 2 tasks of 2 vCPU")
    assert of(found, "quota: Fargate On-Demand vCPUs").detail == "100, and 2 needed: the migration's 2 vCPU"


@pytest.mark.parametrize(
    ("answer", "mark", "detail"),
    [
        ({"ns-9.other.com"}, Mark.PROBLEM, "delegated to ns-9.other.com, which is another zone"),
        (set(), Mark.PROBLEM, "delegated to nobody"),
        (OSError("no route"), Mark.UNKNOWN, "dns.google gave no answer (OSError)"),
    ],
)
def test_the_worlds_dns_must_know_the_zone(
    answer: set[str] | Exception, mark: Mark, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def name_servers(zone: str) -> set[str]:
        assert zone == "dev.example.com"
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(domain, "name_servers", name_servers)
    found = of(findings(well()), "delegation")
    assert found.mark is mark
    assert detail in found.detail
    if mark is Mark.PROBLEM:
        assert "NS record for dev.example.com in example.com" in found.remedy
        assert ", ".join(OWN_SERVERS) in found.remedy


def test_an_emulated_aws_is_in_no_dns() -> None:
    assert of(findings(well(), endpoint="http://127.0.0.1:4566"), "delegation").mark is Mark.ABSENT


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {"Status": 0, "Answer": [{"type": 2, "data": "NS-1.AWSDNS-01.COM."}, {"type": 5, "data": "x."}]},
            {OWN_SERVERS[0]},
        ),
        ({"Status": 3, "Authority": [{"type": 6, "data": "soa"}]}, set()),
    ],
)
def test_name_servers_are_read(document: dict[str, Any], expected: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    asked: list[str] = []

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(json.dumps(document).encode())

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    assert domain.name_servers("dev.example.com") == expected
    assert asked == ["https://dns.google/resolve?name=dev.example.com&type=NS"]


def test_a_name_server_that_fails_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: io.BytesIO(b'{"Status": 2}'))
    with pytest.raises(ValueError, match="DNS status 2"):
        domain.name_servers("dev.example.com")


ARN = "arn:aws:acm:ap-northeast-1:111111111111:certificate/1"


@pytest.mark.parametrize(
    ("answer", "mark", "detail"),
    [
        ({"Status": "ISSUED", "DomainName": "*.dev.example.com"}, Mark.WELL, "issued for *.dev.example.com"),
        (
            {"Status": "ISSUED", "DomainName": "x.com", "SubjectAlternativeNames": ["llm.dev.example.com"]},
            Mark.WELL,
            "",
        ),
        ({"Status": "ISSUED", "DomainName": "x.com"}, Mark.PROBLEM, "it is of x.com"),
        ({"Status": "EXPIRED", "DomainName": "llm.dev.example.com"}, Mark.PROBLEM, "it is EXPIRED"),
        (refusal("ResourceNotFoundException"), Mark.PROBLEM, f"there is no {ARN}"),
    ],
)
def test_a_certificate_of_the_settings(answer: Any, mark: Mark, detail: str) -> None:  # noqa: ANN401 - see FakeAws
    given = answer if isinstance(answer, Exception) else {"Certificate": answer}
    environment = DEV.model_copy(update={"certificate_arn": ARN})
    found = of(findings(well() | {("acm", "describe_certificate"): given}, environment), "certificate")
    assert found.mark is mark
    assert detail in found.detail


@pytest.mark.parametrize(("state", "mark"), [("ENABLED", Mark.WELL), ("DISABLED", Mark.PROBLEM)])
def test_a_slack_workspace_has_to_let_the_alarms_in(state: str, mark: Mark) -> None:
    workspace = {"SlackTeamId": "T0123456789", "SlackTeamName": "Example", "State": state}
    answers = {("chatbot", "describe_slack_workspaces@us-east-2"): {"SlackWorkspaces": [workspace]}}
    (found,) = slack_workspace(account(PROD, answers))
    assert found.mark is mark


COPYING = PROD.model_copy(update={"database": Database(copies=Copies(region="ap-northeast-3", every_hours=6))})
SECRETS = [secret(name, environment=COPYING) for name in required_secrets(COPYING)]


@pytest.mark.parametrize(
    ("answer", "secrets", "found"),
    [
        (timedelta(hours=7), SECRETS, [(Mark.WELL, "")]),
        (timedelta(hours=11), SECRETS, [(Mark.PROBLEM, "look at AWS Backup's jobs in ap-northeast-1")]),
        (None, SECRETS, [(Mark.PROBLEM, "look at AWS Backup's jobs in ap-northeast-1")]),
        (
            timedelta(hours=1),
            SECRETS[1:],
            [(Mark.WELL, ""), (Mark.PROBLEM, "run `make restore ENV=prod ARGS=--prepare`.")],
        ),
        (refusal("ResourceNotFoundException"), SECRETS, [(Mark.PROBLEM, "run `make copies ENV=prod`.")]),
    ],
    ids=["young", "old", "none", "a secret is missing", "no vault"],
)
def test_a_second_region_is_ready_or_says_what_is_missing(
    answer: timedelta | Exception | None, secrets: list[dict[str, Any]], found: list[tuple[Mark, str]]
) -> None:
    def points(**_: Any) -> Any:  # noqa: ANN401 - an answer
        if isinstance(answer, Exception):
            return answer
        arn = {"RecoveryPointArn": "arn:aws:backup:ap-northeast-3:123456789012:recovery-point:1"}
        whole = [{**arn, "CreationDate": datetime.now(UTC) - answer, "Status": "COMPLETED"}] if answer else []
        return {"RecoveryPoints": [*whole, {**arn, "CreationDate": datetime.now(UTC), "Status": "PARTIAL"}]}

    answers: Answers = {
        ("backup", "list_recovery_points_by_backup_vault@ap-northeast-3"): points,
        ("ssm", "describe_parameters@ap-northeast-3"): {"Parameters": secrets},
        ("backup", "describe_region_settings"): {"ResourceTypeOptInPreference": {"Aurora": True}},
    }
    told = list(copies(account(COPYING, answers)))
    assert [finding.mark for finding in told] == [mark for mark, _ in found]
    assert all(finding.remedy.startswith(remedy) for finding, (_, remedy) in zip(told, found, strict=True))


def test_without_its_opt_in_aws_backup_does_nothing() -> None:
    answers: Answers = {
        ("backup", "list_recovery_points_by_backup_vault@ap-northeast-3"): {"RecoveryPoints": []},
        ("ssm", "describe_parameters@ap-northeast-3"): {"Parameters": SECRETS},
        ("backup", "describe_region_settings"): {"ResourceTypeOptInPreference": {"Aurora": False, "RDS": True}},
    }
    first, *_ = copies(account(COPYING, answers))
    assert first.remedy == "run `aws backup update-region-settings --resource-type-opt-in-preference Aurora=true`."


def test_what_is_a_regions_own_is_looked_at_in_the_second_one_too() -> None:
    there = {("ssm", "get_parameter@ap-northeast-3"): refusal("ParameterNotFound")}
    (found,) = CHECKS["second region, bootstrap"](account(COPYING, there))
    assert (found.what, found.mark) == ("second region, bootstrap", Mark.PROBLEM)
    assert found.remedy.startswith(f"run `cdk bootstrap aws://{COPYING.account}/ap-northeast-3")
    quotas = [name for name in CHECKS if name.startswith("second region, quota")]
    assert len(quotas) == len([name for name in CHECKS if name.startswith("quota")])


def test_without_copies_there_is_no_second_region() -> None:
    assert list(copies(account(DEV, {}))) == []
    assert all(not list(check(account(DEV, {}))) for name, check in CHECKS.items() if name.startswith("second region"))


def account(environment: Environment, answers: dict[Any, Any]) -> Account:
    session = FakeAws(answers).session
    return Account(Access(environment, session), session)


VPC = ExistingVpc(
    id="vpc-0123456789",
    public_subnet_ids=("subnet-0000000a", "subnet-0000000c"),
    private_subnet_ids=("subnet-1000000a", "subnet-1000000c"),
    isolated_subnet_ids=("subnet-2000000a", "subnet-2000000c"),
    nat_addresses=(IPv4Address("192.0.2.1"),),
)


def in_vpc(vpc: ExistingVpc = VPC) -> Environment:
    return DEV.model_copy(update={"network": DEV.network.model_copy(update={"vpc": vpc})})


def endpoint(service: str, *, private_dns: bool = True) -> dict[str, Any]:
    return {
        "ServiceName": f"com.amazonaws.ap-northeast-1.{service}",
        "PrivateDnsEnabled": private_dns,
        "Groups": [{"GroupId": "sg-1"}],
    }


def group(*sources: str, protocol: str = "tcp", ports: tuple[int, int] = (443, 443)) -> dict[str, Any]:
    rule = {"IpProtocol": protocol, "IpRanges": [{"CidrIp": source} for source in sources]}
    return {
        "GroupId": "sg-1",
        "IpPermissions": [rule | ({} if protocol == "-1" else {"FromPort": ports[0], "ToPort": ports[1]})],
    }


def vpc_answers() -> dict[Any, Any]:
    ids = (*VPC.public_subnet_ids, *VPC.private_subnet_ids, *VPC.isolated_subnet_ids)
    return {
        ("ec2", "describe_vpcs"): {
            "Vpcs": [{"VpcId": VPC.id, "CidrBlockAssociationSet": [{"CidrBlock": "10.10.0.0/16"}]}]
        },
        ("ec2", "describe_subnets"): {
            "Subnets": [
                {
                    "SubnetId": each,
                    "VpcId": VPC.id,
                    "AvailabilityZone": f"ap-northeast-1{each[-1]}",
                    "CidrBlock": "10.10.1.0/24",
                }
                for each in ids
            ]
        },
        ("ec2", "describe_vpc_endpoints"): {"VpcEndpoints": [endpoint("ssm"), endpoint("ec2"), endpoint("s3")]},
        ("ec2", "describe_security_groups"): {"SecurityGroups": [group("10.10.0.0/16")]},
        ("ec2", "describe_nat_gateways"): {
            "NatGateways": [{"NatGatewayAddresses": [{"PublicIp": "192.0.2.1"}, {"PrivateIp": "10.0.0.1"}]}]
        },
    }


def test_an_existing_vpc_is_as_the_settings_say() -> None:
    found = list(existing_vpc(account(in_vpc(), vpc_answers())))
    assert [(finding.what, finding.mark) for finding in found] == [
        ("VPC", Mark.WELL),
        ("subnets", Mark.WELL),
        ("NAT addresses", Mark.WELL),
    ]
    quotas = {finding.what for finding in findings(well() | vpc_answers(), in_vpc())}
    assert not quotas & {"quota: VPCs", "quota: Elastic IP addresses"}


@pytest.mark.parametrize(
    ("place", "answer", "what", "detail"),
    [
        (("ec2", "describe_vpcs"), refusal("InvalidVpcID.NotFound"), "VPC", "there is no vpc-0123456789"),
        (
            ("ec2", "describe_vpcs"),
            {"Vpcs": [{"CidrBlockAssociationSet": [{"CidrBlock": "10.99.0.0/16"}]}]},
            *("VPC", "has 10.99.0.0/16, and network.cidr is 10.10.0.0/16"),
        ),
        (("ec2", "describe_subnets"), refusal("InvalidSubnetID.NotFound"), "subnets", "does not exist"),
        (
            ("ec2", "describe_nat_gateways"),
            {"NatGateways": [{"NatGatewayAddresses": [{"PublicIp": "192.0.2.9"}]}]},
            *("NAT addresses", "would not be let in"),
        ),
    ],
)
def test_an_existing_vpc_is_not(place: tuple[str, str], answer: Answer, what: str, detail: str) -> None:
    found = of(list(existing_vpc(account(in_vpc(), vpc_answers() | {place: answer}))), what)
    assert found.mark is Mark.PROBLEM
    assert detail in found.detail


@pytest.mark.parametrize(
    ("groups", "mark"),
    [
        (group("10.10.1.0/25", "10.0.0.0/8"), Mark.WELL),
        (group("0.0.0.0/0", protocol="-1"), Mark.WELL),
        (group("10.10.0.0/16", ports=(0, 65535)), Mark.WELL),
        (group("10.10.1.0/25"), Mark.PROBLEM),
        (group("10.10.0.0/16", protocol="udp"), Mark.PROBLEM),
        (group("10.10.0.0/16", ports=(80, 80)), Mark.PROBLEM),
        (group(), Mark.PROBLEM),
    ],
)
def test_an_endpoint_of_an_existing_vpc_has_to_let_the_gateway_in(groups: dict[str, Any], mark: Mark) -> None:
    answers = vpc_answers() | {("ec2", "describe_security_groups"): {"SecurityGroups": [groups]}}
    found = of(list(endpoints_of_existing_vpc(account(in_vpc(), answers))), "endpoints")
    assert found.mark is mark
    if mark is Mark.PROBLEM:
        assert "for ssm do not" in found.detail  # nothing here calls ec2, and s3 has its gateway endpoint
        assert "let 10.10.1.0/24" in found.remedy


def test_an_endpoint_without_private_dns_is_in_nobodys_way() -> None:
    answers = vpc_answers() | {
        ("ec2", "describe_vpc_endpoints"): {"VpcEndpoints": [endpoint("ssm", private_dns=False)]},
        ("ec2", "describe_security_groups"): {"SecurityGroups": [group()]},
    }
    assert not list(endpoints_of_existing_vpc(account(in_vpc(), answers)))


def test_subnets_in_the_wrong_order_are_named() -> None:
    swapped = VPC.model_copy(update={"isolated_subnet_ids": VPC.isolated_subnet_ids[::-1]})
    found = of(list(existing_vpc(account(in_vpc(swapped), vpc_answers()))), "subnets")
    assert found.detail.endswith("subnet-2000000c, subnet-2000000a")


def test_an_existing_vpc_whose_way_out_nobody_named() -> None:
    vpc = VPC.model_copy(update={"nat_addresses": ()})
    answers = vpc_answers() | {("ec2", "describe_nat_gateways"): {"NatGateways": []}}
    found = of(list(existing_vpc(account(in_vpc(vpc), answers))), "NAT addresses")
    assert "add the public addresses that the private subnets are seen with" in found.remedy


def test_a_mistake_in_config_yaml_is_said_and_hides_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "config.yaml"
    broken.write_text("model_list: 1\n")
    monkeypatch.setattr(models, "config_file", lambda: broken)
    found = findings(well())
    assert "config.yaml" in of(found, "Bedrock").detail
    assert of(found, "mail").mark is Mark.WELL


def test_what_config_yaml_calls(tmp_path: Path) -> None:
    own = "arn:aws:bedrock:us-west-2:111111111111"
    entries = (
        "model: bedrock/global.anthropic.claude-opus-5-5, aws_region_name: eu-west-1",
        "model: 'bedrock/us.amazon.nova-2-lite-v1:0', aws_region_name: us-west-2",
        "model: 'bedrock/amazon.titan-embed-text-v2:0', aws_region_name: us-east-1",
        f"model: 'bedrock/amazon.nova-2-lite-v1:0', model_id: '{own}:provisioned-model/a', aws_region_name: us-west-2",
        "model: 'bedrock/arn:aws:bedrock:us-west-2::foundation-model/cohere.rerank-v3-5:0', aws_region_name: us-west-2",
        # With a key of its own, and so of whatever account: nothing to look at in this one.
        "model: bedrock/us.anthropic.claude-haiku-5-5, api_key: os.environ/OTHER_KEY, aws_region_name: us-west-2",
    )
    text = "\n".join(f"  - model_name: m{n}\n    litellm_params: {{{entry}}}" for n, entry in enumerate(entries))
    file = tmp_path / "config.yaml"
    file.write_text(
        f"model_list:\n{text}\nlitellm_settings: {{request_timeout: 600}}\n"
        "general_settings: {master_key: os.environ/LITELLM_MASTER_KEY, database_connection_pool_limit: 10}\n"
    )
    calls = calls_of(load_config(file), "111111111111")
    assert calls.models == {
        Call("us-east-1", "amazon.titan-embed-text-v2:0"),
        Call("us-west-2", "cohere.rerank-v3-5:0"),
    }
    assert calls.others == {f"{own}:provisioned-model/a"}
    assert not [call for call in calls.profiles if "haiku" in call.name]
    assert calls.profiles[Call("eu-west-1", "global.anthropic.claude-opus-5-5")] == {
        Call("eu-west-1", "anthropic.claude-opus-5-5"),
        Call("", "anthropic.claude-opus-5-5"),
    }
    nova = partial(Call, name="amazon.nova-2-lite-v1:0")
    assert calls.profiles[Call("us-west-2", "us.amazon.nova-2-lite-v1:0")] == {
        *map(nova, ("us-east-1", "us-east-2", "us-west-2"))
    }


def test_what_a_profile_is_made_of_has_to_be_there(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    profile = "global.anthropic.claude-opus-5-5"
    file.write_text(
        f"model_list:\n  - model_name: m\n    litellm_params: {{model: bedrock/{profile}, "
        "model_id: os.environ/A_INFERENCE_PROFILE, aws_region_name: eu-west-1}\n"
        "litellm_settings: {request_timeout: 600}\ngeneral_settings: {database_connection_pool_limit: 10}\n"
    )
    made = Made(profiles={"A_INFERENCE_PROFILE": profile})
    calls = calls_of(load_config(file, region="eu-west-1", made=made), "111111111111")
    assert calls.models == frozenset()
    assert calls.profiles.keys() == {Call("eu-west-1", profile)}


def test_the_cdk_says_which_bootstrap_version_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert bootstrap.required_bootstrap() >= 8  # with which the lookup role came


def test_the_cdk_is_asked_once_though_two_regions_ask_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its library mixes up the answers of two who ask at a time: `make doctor` hung by that, or ended."""
    monkeypatch.undo()
    entered, both = list[int](), Barrier(2)

    def asked() -> int:
        entered.append(1)
        with suppress(BrokenBarrierError):  # the other would come as far meanwhile
            both.wait(0.5)
        return len(entered)

    monkeypatch.setattr(bootstrap, "_required_bootstrap", cache(asked))
    with ThreadPoolExecutor(2) as pool:
        assert [*pool.map(lambda _: bootstrap.required_bootstrap(), range(2))] == [1, 1]


def test_a_session_makes_one_client_at_a_time_for_both_regions() -> None:
    session = FakeAws(well()).session
    account = Account(Access(COPYING, session), session)
    seen: list[Account] = []

    def look(there: Account) -> list[Finding]:
        seen.append(there)
        return []

    assert [*There(look)(account)] == []
    (there,) = seen
    assert there.session is account.session
    assert there._lock is account._lock
    assert there.environment.region != account.environment.region


def test_without_node_only_the_bootstrap_version_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(domain, "name_servers", lambda zone: set(OWN_SERVERS))
    monkeypatch.setattr(bootstrap, "NODE", tmp_path / "node")
    found = findings(well())
    assert "make setup" in of(found, "bootstrap").detail
    assert [finding.what for finding in found if finding.mark is not Mark.WELL] == ["bootstrap"]


def test_the_pipeline_asks_by_the_lookup_role() -> None:
    aws = FakeAws(well())
    (found,) = credentials(Account(Access(DEV, aws.session, by_roles=True), aws.session))
    assert found.detail.endswith("by the account's lookup role")


OWN_ROLE, THEIR_ROLE = (f"arn:aws:iam::{number}:role/bedrock-caller" for number in (DEV.account, "222233334444"))


def looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: Answers, *named: str) -> list[Finding]:
    """What is found of roles in an account that answers so."""
    entries = "".join(
        f"  - model_name: m{number}\n    litellm_params: {{model: bedrock/us.anthropic.claude-haiku-5-5, "
        f"aws_region_name: us-west-2, aws_role_name: '{arn}', aws_external_id: acme}}\n"
        for number, arn in enumerate(named)
    )
    file = tmp_path / "config.yaml"
    file.write_text(
        f"model_list:\n{entries}litellm_settings: {{request_timeout: 600}}\n"
        "general_settings: {database_connection_pool_limit: 10}\n"
    )
    monkeypatch.setattr(roles, "config_file", lambda: file)
    return list(roles.assumed_roles(account(DEV, answers)))


@pytest.mark.parametrize(
    ("arn", "answers", "mark", "said"),
    [
        (OWN_ROLE, {("iam", "get_role"): role(f"arn:aws:iam::{DEV.account}:root")}, Mark.WELL, "names this account"),
        (OWN_ROLE, {("iam", "get_role"): role("arn:aws:iam::333333333333:root")}, Mark.PROBLEM, "does not name"),
        (OWN_ROLE, {("iam", "get_role"): refusal("NoSuchEntity")}, Mark.PROBLEM, "there is no such role"),
        (OWN_ROLE, {("iam", "get_role"): refusal("AccessDenied")}, Mark.UNKNOWN, "AccessDenied"),
        (THEIR_ROLE, {("sts", "assume_role"): {}}, Mark.WELL, "as you were"),
        (THEIR_ROLE, {("sts", "assume_role"): refusal("AccessDenied")}, Mark.UNKNOWN, "`make about ENV=dev` prints"),
        (THEIR_ROLE, {("sts", "assume_role"): refusal("RegionDisabledException")}, Mark.UNKNOWN, "RegionDisabled"),
    ],
)
def test_a_role_of_config_yaml_is_looked_at_or_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arn: str, answers: Answers, mark: Mark, said: str
) -> None:
    (found,) = looked_at(monkeypatch, tmp_path, answers, arn)
    assert (found.what, found.mark) == (f"role {arn}", mark)
    assert said in found.detail


def test_without_a_role_nothing_is_said_of_any() -> None:
    assert not [found for found in findings(well()) if found.what.startswith("role arn:")]
