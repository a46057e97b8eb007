"""The picture of any environment: it says what its templates have, no more, and every text has room."""

import re
from dataclasses import replace
from functools import cache
from typing import Any
from xml.etree import ElementTree

import aws_cdk as cdk
import pytest

from ops.diagram.cards import card
from ops.diagram.drawing import draw
from ops.diagram.svg import Box
from ops.diagram.words import fits, joined, wrapped
from ops.templates import Facts, Templates
from stacks import CHECKOUT
from stacks.company import company, load
from stacks.environment_stage import EnvironmentStage
from stacks.settings import (
    Alarms,
    Database,
    Datadog,
    Environment,
    ExistingVpc,
    Gateway,
    HostedZone,
    Ingress,
    Network,
    Onboarding,
    Providers,
    Report,
)
from tests.company.synthesis import by_stack, context

TOKYO, TWO_ACCOUNTS = company(), load(CHECKOUT / "tests" / "companies" / "two-accounts")
PROD = TOKYO.environments["prod"]
WIDEST = 0.53  # of a letter's size, as ops/diagram/words.py reckons

CERTIFICATE = "arn:aws:acm:ap-northeast-1:333333333333:certificate/11111111-2222-3333-4444-555555555555"
LONG = "language-models.internal.engineering.emea.example.com"
SIX_ZONES = tuple(f"us-east-1{letter}" for letter in "abcdef")
ENVIRONMENTS = {
    "all": PROD,
    "three clouds, nothing optional": TWO_ACCOUNTS.environments["dev"],
    "internal": Environment(
        name="sandbox",
        account="555555555555",
        region="eu-central-1",
        hosted_zone=HostedZone(id="Z0555555EUEXAMPLE", name="example.eu"),
        domain="llm.example.eu",
        network=Network(zones=("eu-central-1a", "eu-central-1b"), cidr="10.60.0.0/21"),
        ingress=Ingress(public=False, cidrs=("10.0.0.0/8",), management_cidrs=("10.9.0.0/16",)),
        providers=PROD.providers,
    ),
    "in a VPC that was there": Environment(
        **dict(PROD)
        | {
            "name": "existing",
            "domain": "llm-existing.example.com",
            "certificate_arn": CERTIFICATE,
            "network": Network(
                zones=("ap-northeast-1a", "ap-northeast-1c"),
                cidr="10.50.0.0/16",
                vpc=ExistingVpc(
                    id="vpc-0123456789abcdef0",
                    public_subnet_ids=("subnet-0a0a0a0a1", "subnet-0a0a0a0a2"),
                    private_subnet_ids=("subnet-0b0b0b0b1", "subnet-0b0b0b0b2"),
                    isolated_subnet_ids=("subnet-0c0c0c0c1", "subnet-0c0c0c0c2"),
                    nat_addresses=("203.0.113.201", "203.0.113.202"),
                ),
            ),
            "gateway": Gateway(max_tasks=1, spot=True),
            "onboarding": None,
            "datadog": None,
            "bill": None,
            "alarms": Alarms(),
        }
    ),
    "six zones and long names": Environment(
        name="main12345678",
        account="666666666666",
        region="us-east-1",
        hosted_zone=HostedZone(id="Z0666666USEXAMPLE", name="example.com"),
        domain=LONG,
        network=Network(
            zones=SIX_ZONES,
            cidr="10.70.0.0/16",
            nat_gateways=2,
            interface_endpoints=("ecr.api", "ecr.dkr", "ssm", "logs", "sts", "kms", "monitoring", "secretsmanager"),
        ),
        ingress=Ingress(
            public=True,
            cidrs=("203.0.113.0/24", "198.51.100.128/25", "192.0.2.0/24"),
            management_cidrs=("198.51.100.128/25",),
        ),
        gateway=Gateway(min_tasks=20, max_tasks=20, cpu=16384, memory=122880),
        database=Database(min_capacity=128, max_capacity=256, reader=True, backup_days=1),
        providers=Providers(
            azure_api_base="https://a-resource-with-a-name-that-has-sixty-four-letters-like-this-one.openai.azure.com",
            vertexai_project="example-llm",
            vertexai_location="northamerica-northeast1",
        ),
        onboarding=Onboarding(
            command="/account-of-the-language-models",
            workspace="T0123456789",
            audit_channel="C0123456789",
            mail_domains=("example.com",),
            teams=("platform",),
        ),
        datadog=Datadog(),
        report=Report(channel="C0123456789", weekly=False),
    ),
}
CONFIGS = dict.fromkeys(ENVIRONMENTS, TOKYO.config) | {"three clouds, nothing optional": TWO_ACCOUNTS.config}


@cache
def templates(case: str) -> Templates:
    cdk_app = cdk.App(context=context())
    environment = ENVIRONMENTS[case]
    EnvironmentStage(cdk_app, environment=environment, config_file=CONFIGS[case])
    return by_stack(cdk_app.synth().get_nested_assembly(f"assembly-{environment.name}"))


def drawn(case: str) -> ElementTree.Element:
    environment = ENVIRONMENTS[case]
    config = environment.litellm_config(CONFIGS[case])
    return ElementTree.fromstring(draw(environment, config, templates(case)))  # noqa: S314 - our own


def of(picture: ElementTree.Element, kind: str) -> list[dict[str, Any]]:
    """The elements of one kind: their attributes, and what is written in them."""
    found = picture.iter(f"{{http://www.w3.org/2000/svg}}{kind}")
    numbers = ("x", "y", "width", "height")
    return [
        {name: float(value) if name in numbers else value for name, value in one.attrib.items()} | {"text": one.text}
        for one in found
    ]


def words(case: str) -> str:
    return "\n".join(str(one["text"]) for one in of(drawn(case), "text"))


@pytest.mark.parametrize("case", ENVIRONMENTS)
def test_every_text_is_within_the_picture_and_its_card(case: str) -> None:
    picture = drawn(case)
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    cards = [one for one in of(picture, "rect") if one["class"] == "card"]
    assert cards
    for one in of(picture, "text"):
        size = {"title": 13, "head": 20, "group": 12}.get(one["class"], 11)
        right = one["x"] + len(one["text"]) * size * WIDEST
        assert right <= width, one
        assert one["y"] <= height, one
        inside = [
            card
            for card in cards
            if card["x"] <= one["x"] <= card["x"] + card["width"] and card["y"] < one["y"] < card["y"] + card["height"]
        ]
        if one["class"] in ("title", "line"):
            assert len(inside) == 1, one
            assert right <= inside[0]["x"] + inside[0]["width"], one


@pytest.mark.parametrize("case", ENVIRONMENTS)
def test_no_card_covers_another_or_leaves_the_picture(case: str) -> None:
    picture = drawn(case)
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    cards = [one for one in of(picture, "rect") if one["class"] == "card"]
    for number, one in enumerate(cards):
        assert 0 <= one["x"] <= one["x"] + one["width"] <= width
        assert 0 <= one["y"] <= one["y"] + one["height"] <= height
        for other in cards[number + 1 :]:
            assert (
                one["x"] + one["width"] <= other["x"]
                or other["x"] + other["width"] <= one["x"]
                or one["y"] + one["height"] <= other["y"]
                or other["y"] + other["height"] <= one["y"]
            ), (one, other)


@pytest.mark.parametrize(
    ("case", "there", "not_there"),
    [
        (
            "all",
            ("NAT gateway", "Lambda: receiver", "Lambda: Datadog", "SNS: mail and Slack", "Reader"),
            ("own way out",),
        ),
        (
            "three clouds, nothing optional",
            ("Amazon Bedrock", "Azure OpenAI", "Vertex AI", "SNS: nobody listens yet", "internet-facing"),
            ("Lambda: receiver", "Lambda: Datadog", "Lambda: report", "Slack", "Datadog", "notices by SMTP", "Reader"),
        ),
        ("internal", ("internal; HTTPS", "NAT gateway", "eu-central-1b"), ("internet-facing", "Lambda: receiver")),
        (
            "in a VPC that was there",
            (
                "VPC vpc-0123456789abcdef0, 10.50.0.0/16",
                "own way out",
                "203.0.113.201",
                "Fargate Spot",
                "given",
                "1 task of",
            ),
            ("NAT gateway", "subnets, /", "flows", "Lambda: bill", "a task more"),
        ),
        (
            "six zones and long names",
            ("us-east-1f", "and 2 more ranges", "20 tasks of 16 vCPU", "restorable for 1 day", "month: usage"),
            ("a task more", "week"),
        ),
    ],
)
def test_it_says_what_the_templates_have(case: str, there: tuple[str, ...], not_there: tuple[str, ...]) -> None:
    text = words(case)
    assert [word for word in there if word not in text] == []
    assert [word for word in not_there if word in text] == []


@pytest.mark.parametrize(
    ("provider", "title"), [("bedrock", "Amazon Bedrock"), ("azure", "Azure OpenAI"), ("vertex_ai", "Vertex AI")]
)
def test_one_provider_alone_is_drawn(provider: str, title: str) -> None:
    environment = ENVIRONMENTS["internal"]
    config = environment.litellm_config(TOKYO.config)
    alone = replace(config, models=tuple(model for model in config.models if model.provider == provider))
    picture = draw(environment, alone, templates("internal"))
    assert [name for name in ("Amazon Bedrock", "Azure OpenAI", "Vertex AI") if name in picture] == [title]


def test_the_smoke_tests_addresses_are_no_callers() -> None:
    existing = Facts(templates("in a VPC that was there"))
    assert existing.callers() == ("203.0.113.0/24",)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("llm.example.com", ["llm.example.com"]),
        ("eu-central-1, eu-north-1", ["eu-central-1,", "eu-north-1"]),
        ("a-very-long-name.of-a.host.example", ["a-very-long-name", ".of-a.host", ".example"]),
        ("x" * 60, ["x" * 17, "x" * 17, f"{'x' * 16}…"]),
    ],
)
def test_a_line_breaks_at_its_joints(text: str, lines: list[str]) -> None:
    assert wrapped(text, 130) == lines
    assert all(fits(line, 130) for line in lines)


def test_a_text_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit in 100 pixels"):
        list(card(Box(0, 0, 100, 40), "network", "A title that is far too long"))


def test_a_list_ends_in_how_many_more_there_are() -> None:
    assert joined(("ssm", "logs"), 20) == "ssm, logs"
    assert joined(("ecr.api", "ecr.dkr", "logs"), 20) == "ecr.api and 2 more"
    assert re.fullmatch("3 of them", joined(("ecr.api", "ecr.dkr", "logs"), 9))
