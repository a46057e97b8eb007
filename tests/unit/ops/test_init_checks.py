"""ops/init/checks.py: what AWS knows of the answers, and that it stops nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions as aws

from ops.doctor import domain
from ops.init.__main__ import main
from ops.init.checks import Aws
from stacks.company import load
from tests.unit.fake_aws import Answers, FakeAws, refusal

ANSWERS = Path(__file__).with_name("answers")
SERVERS = ["ns-1.awsdns-01.com"]


@pytest.fixture(autouse=True)
def _dns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setattr(domain, "name_servers", lambda _: set(SERVERS))


def zone(name: str, id_: str, *, private: bool = False) -> dict[str, Any]:
    return {
        "Id": f"/hostedzone/{id_}",
        "Name": f"{name}.",
        "CallerReference": "any",
        "Config": {"PrivateZone": private},
    }


def hosted(*zones: dict[str, Any]) -> dict[str, Any]:
    return {"HostedZones": list(zones), "IsTruncated": False, "MaxItems": "100"}


def located(name: str, *, state: str = "available", kind: str = "availability-zone") -> dict[str, Any]:
    return {"ZoneName": name, "State": state, "ZoneType": kind}


def available(modelId: str, status: str = "AVAILABLE") -> dict[str, Any]:  # noqa: N803 - boto3's
    return {
        "modelId": modelId,
        "agreementAvailability": {"status": status},
        "authorizationStatus": "AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": "AVAILABLE",
    }


def profile(inferenceProfileIdentifier: str) -> dict[str, Any]:  # noqa: N803 - boto3's
    model = inferenceProfileIdentifier.partition(".")[2]
    arn = f"arn:aws:bedrock:eu-central-1:111111111111:inference-profile/{inferenceProfileIdentifier}"
    return {
        "inferenceProfileName": "any",
        "inferenceProfileArn": arn,
        "inferenceProfileId": inferenceProfileIdentifier,
        "models": [{"modelArn": f"arn:aws:bedrock:eu-west-1::foundation-model/{model}"}],
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    }


def account(**different: Any) -> FakeAws:  # noqa: ANN401 - answers by what is asked
    answers: Answers = {
        ("sts", "get_caller_identity"): {"Account": "111111111111", "Arn": "arn:aws:iam::111111111111:user/any"},
        ("account", "get_region_opt_status"): {"RegionOptStatus": "ENABLED_BY_DEFAULT"},
        ("ec2", "describe_availability_zones"): {
            "AvailabilityZones": [
                located("eu-central-1c"),
                located("eu-central-1b"),
                located("eu-central-1a", state="impaired"),
                located("eu-central-1-ham-1a", kind="local-zone"),
            ]
        },
        ("route53", "list_hosted_zones_by_name"): hosted(
            zone("example.eu", "Z0PRIVATE", private=True),
            zone("example.eu", "Z0FOUND00"),
            zone("example.us", "Z0OTHER"),
        ),
        ("route53", "get_hosted_zone"): {
            "HostedZone": zone("example.eu", "Z0FOUND00"),
            "DelegationSet": {"NameServers": SERVERS},
        },
        ("bedrock", "get_inference_profile"): profile,
        ("bedrock", "get_foundation_model_availability"): available,
    }
    for name, answer in different.items():
        service, _, method = name.partition("__")
        answers[service, method] = answer
    return FakeAws(answers)


class Person:
    """Answers what has no default, and by Enter what has one."""

    def __init__(self, **answers: str) -> None:
        self.answers = {"Environments": "prod", "AWS region": "eu-central-1", "Hosted": "example.eu", "Load": "no"}
        self.answers |= answers
        self.asked: list[str] = []

    def __call__(self, prompt: str) -> str:
        self.asked.append(prompt.strip())
        return next((line for start, line in self.answers.items() if prompt.strip().startswith(start)), "")


def told(fake: FakeAws, person: Person, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The warnings."""
    assert main([], folder=folder, session=fake.session, ask=person) == 0
    return [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("!")]


def test_defaults_come_from_the_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(account(), Person(), tmp_path / "company", capsys) == []
    (prod,) = load(tmp_path / "company").environments.values()
    assert prod.account == "111111111111"
    assert prod.hosted_zone.id == "Z0FOUND00"
    assert prod.network.zones == ("eu-central-1b", "eu-central-1c")


def test_what_the_account_has_not_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake = account(
        route53__list_hosted_zones_by_name=hosted(),
        route53__get_hosted_zone=refusal("NoSuchHostedZone"),
        bedrock__get_foundation_model_availability=lambda modelId: available(modelId, "NOT_AVAILABLE"),  # noqa: N803
    )
    person = Person(Availability="eu-central-1a, eu-central-1b")
    person.answers["Its id"] = "Z0NOTHERE"
    warnings = told(fake, person, tmp_path / "company", capsys)
    assert (
        "! prod: zones: the account has no eu-central-1a. Name others in network.zones of company/environments.py: "
        "there are eu-central-1-ham-1a, eu-central-1b, eu-central-1c." in warnings
    )
    assert any(
        "prod: hosted zone: the account has no Z0NOTHERE. Run `aws route53 create-hosted-zone" in w for w in warnings
    )
    assert any("prod: Bedrock: anthropic.claude-opus-5-5: its agreement is NOT_AVAILABLE" in w for w in warnings)
    assert load(tmp_path / "company").environments["prod"].hosted_zone.id == "Z0NOTHERE"


def test_a_refused_look_up_stops_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    denied = refusal("AccessDenied")
    fake = account(
        ec2__describe_availability_zones=denied,
        route53__list_hosted_zones_by_name=denied,
        route53__get_hosted_zone=denied,
        bedrock__get_inference_profile=denied,
    )
    person = Person()
    person.answers["Its id"] = "Z0NOTSEEN"
    warnings = told(fake, person, tmp_path / "company", capsys)
    assert load(tmp_path / "company").environments["prod"].network.zones == ("eu-central-1a", "eu-central-1b")
    assert any("prod: hosted zone: AWS refused" in warning for warning in warnings)


def test_another_account_is_not_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake = account(sts__get_caller_identity={"Account": "999999999999", "Arn": "arn:aws:iam::999999999999:user/any"})
    code = main(["--answers", str(ANSWERS / "prod.yaml")], folder=tmp_path / "company", session=fake.session)
    assert code == 0
    out = capsys.readouterr().out
    assert "! prod: not looked up, as these AWS credentials are of account 999999999999." in out
    assert {service for service, _, _ in fake.asked} == {"sts"}


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (refusal("ExpiredToken"), "the AWS credentials have expired"),
        (aws.EndpointConnectionError(endpoint_url="https://sts"), "AWS could not be reached"),
    ],
)
def test_credentials_that_do_not_work_are_said_once(
    error: Exception, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = account(sts__get_caller_identity=error)
    code = main(["--answers", str(ANSWERS / "prod.yaml")], folder=tmp_path / "company", session=fake.session)
    assert code == 0
    out = capsys.readouterr().out
    assert out.count("Nothing is looked up in AWS") == 1
    assert why in out
    assert len(fake.asked) == 1


def test_an_existing_vpc_tells_its_range() -> None:
    fake = account(ec2__describe_vpcs={"Vpcs": [{"CidrBlock": "10.99.0.0/20"}]})
    found = Aws(fake.session)
    assert found.vpc_cidr("111111111111", "eu-central-1", "vpc-0123456789abcdef0") == "10.99.0.0/20"
    assert found.vpc_cidr("222222222222", "eu-central-1", "vpc-0123456789abcdef0") is None
