"""Draws `docs/architecture.svg`, the picture of one environment, from its synthesized templates.

    python -m ops.diagram [FILE]

Every box stands for resources of the templates, and every number in it is read from them. Only what lies outside AWS's
account comes from `company/config.yaml`: the providers, their regions and hosts. A test draws it again and compares.
"""

from __future__ import annotations

import html
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from stacks.company import company, config_file, environments
from stacks.litellm_config import LiteLlmConfig

ROOT: Final = Path(__file__).parents[1]
PICTURE: Final = ROOT / "docs" / "architecture.svg"
ENVIRONMENT: Final = "prod"

Properties = dict[str, Any]
Templates = dict[str, dict[str, Any]]
"""One environment's templates by the name of the stack: Network, Database, Email, Gateway, …"""

WIDTH, HEIGHT = 1280, 1184
COLUMNS = (256, 712)  # where the zones begin, and how much room they share
GAP, ZONE_GAP = 16, 28
STYLE = """
text { font-family: -apple-system, "Segoe UI", "Helvetica Neue", Arial, "Noto Sans", sans-serif; fill: #1f2933 }
.page { fill: #ffffff } .account { fill: #f6f8fa; stroke: #8c959f } .vpc { fill: #ffffff; stroke: #8250df }
.tier { fill: #8c959f; fill-opacity: .10 } .zone { fill: none; stroke: #8c959f; stroke-dasharray: 4 4 }
.cluster { fill: #ffffff; stroke: #3b67d8; stroke-dasharray: 2 3 }
.card { fill: #ffffff; stroke: #d0d7de } .title { font-size: 13px; font-weight: 600 }
.line { font-size: 11px; fill: #57606a } .label { font-size: 11px; fill: #57606a }
.head { font-size: 20px; font-weight: 700 }
.group { font-size: 12px; font-weight: 600; fill: #57606a } .flow { fill: none; stroke: #424a53; stroke-width: 1.5 }
.aside { fill: none; stroke: #8c959f; stroke-width: 1.2; stroke-dasharray: 3 3 }
.tip { fill: #424a53 } .faint { fill: #8c959f }
.people { fill: #57606a } .network { fill: #8250df } .compute { fill: #e36209 } .database { fill: #3b67d8 }
.storage { fill: #2da44e } .security { fill: #cf222e } .management { fill: #bf3989 } .outside { fill: #1b7c83 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .page { fill: #0d1117 } .account { fill: #151b23; stroke: #656c76 }
.vpc { fill: #0d1117; stroke: #a371f7 } .card { fill: #1c2430; stroke: #3d444d } .tier { fill-opacity: .16 }
.line, .label, .group { fill: #9198a1 } .flow { stroke: #b7bdc8 } .tip { fill: #b7bdc8 }
.cluster { fill: #1c2430; stroke: #6f97f5 }
.network { fill: #a371f7 } .database { fill: #6f97f5 } .management { fill: #db61a2 } .people { fill: #9198a1 }
}
"""


def synthesize(environment: str = ENVIRONMENT) -> Templates:
    """Synthesize one environment through the composition root, without AWS, Docker or the network."""
    os.environ["CDK_VALIDATION"] = "false"  # the rules have a test of their own; here they would only take time
    import aws_cdk as cdk  # starts Node, which reads the variable then

    import app

    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {"environments": environment}
    with tempfile.TemporaryDirectory() as folder:
        cdk_app = cdk.App(outdir=folder, context=context)
        app.build(cdk_app, company())
        stacks = cdk_app.synth().get_nested_assembly(f"assembly-{environment}").stacks
        return {stack.hierarchical_id.rsplit("/", 1)[-1]: stack.template for stack in stacks}


# --- What the templates say -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """The templates of one environment, and how to ask them."""

    templates: Templates

    def resources(self, kind: str) -> dict[str, Properties]:
        """The properties of every resource of one type, by stack and logical id."""
        return {
            f"{stack}/{logical_id}": resource.get("Properties", {})
            for stack, template in self.templates.items()
            for logical_id, resource in template["Resources"].items()
            if resource["Type"] == kind
        }

    def only(self, kind: str, containing: str = "") -> Properties:
        """The properties of the one resource of a type whose logical id contains a word."""
        (properties,) = (found for name, found in self.resources(kind).items() if containing in name)
        return properties

    def subnets(self, tier: str) -> dict[str, Properties]:
        """The subnets of a tier (Public, Private, Isolated) by zone, in the zones' order."""
        found = [
            properties
            for properties in self.resources("AWS::EC2::Subnet").values()
            if {"Key": "aws-cdk:subnet-name", "Value": tier} in properties["Tags"]
        ]
        return {properties["AvailabilityZone"]: properties for properties in found}

    def nat_zones(self) -> set[str]:
        """The zones that have a NAT gateway."""
        subnets = self.resources("AWS::EC2::Subnet")
        return {
            str(subnets[f"Network/{properties['SubnetId']['Ref']}"]["AvailabilityZone"])
            for properties in self.resources("AWS::EC2::NatGateway").values()
        }

    def endpoints(self) -> tuple[str, ...]:
        """The services that have an interface endpoint."""
        found = self.resources("AWS::EC2::VPCEndpoint").values()
        return tuple(
            properties["ServiceName"].split(".", 3)[3]
            for properties in found
            if properties["VpcEndpointType"] == "Interface"
        )

    def scaling_target(self, metric: str) -> int:
        """At what value of a predefined metric tasks are added."""
        for properties in self.resources("AWS::ApplicationAutoScaling::ScalingPolicy").values():
            tracking = properties["TargetTrackingScalingPolicyConfiguration"]
            if tracking["PredefinedMetricSpecification"]["PredefinedMetricType"] == metric:
                return int(tracking["TargetValue"])
        raise LookupError(f"no scaling policy follows {metric}: ops/diagram.py must be told what does")

    def parameter(self, name: str) -> str:
        """The value of one of the published parameters."""
        return str(self.only("AWS::SSM::Parameter", f"Parameter{name}")["Value"])

    def attribute(self, key: str) -> str:
        """An attribute of the load balancer."""
        pairs = self.only("AWS::ElasticLoadBalancingV2::LoadBalancer")["LoadBalancerAttributes"]
        return next(str(pair["Value"]) for pair in pairs if pair["Key"] == key)

    def callers(self) -> tuple[str, ...]:
        """The ranges that the load balancer lets in, but for the smoke test's, which are known once deployed."""
        rules = self.only("AWS::EC2::SecurityGroup", "LoadBalancerGroup")["SecurityGroupIngress"]
        return tuple(dict.fromkeys(rule["CidrIp"] for rule in rules if isinstance(rule["CidrIp"], str)))

    def function(self, module: str) -> Properties:
        """The Lambda function that a module of a package in `lambda/` is: `onboarding.receiver`."""
        found = self.resources("AWS::Lambda::Function").values()
        (properties,) = (function for function in found if function.get("Handler") == f"{module}.handler")
        return properties

    def attempts(self) -> int:
        """How often the queue hands a request to the worker before it goes to the dead-letter queue."""
        queues = self.resources("AWS::SQS::Queue").values()
        (attempts,) = (queue["RedrivePolicy"]["maxReceiveCount"] for queue in queues if "RedrivePolicy" in queue)
        return int(attempts)

    def retention(self) -> str:
        """How long logs are kept: the shortest and the longest, in days."""
        days = sorted({group["RetentionInDays"] for group in self.resources("AWS::Logs::LogGroup").values()})
        return f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"


# --- How it is drawn ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Box:
    """A place in the picture, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x of its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre."""
        return self.x + self.width / 2, self.y + self.height / 2

    def rect(self, style: str, radius: int = 8) -> str:
        """It, as an SVG rectangle."""
        return (
            f'<rect class="{style}" x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" '
            f'height="{self.height:g}" rx="{radius}"/>'
        )


def text(x: float, y: float, words: str, style: str, anchor: str = "start") -> str:
    """One line of text."""
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{html.escape(words)}</text>'


def card(box: Box, kind: str, title: str, *lines: str) -> Iterator[str]:
    """A titled box with a stripe in its kind's colour.

    Raises
    ------
    ValueError
        A line is too long for the box in the widest of the usual fonts.
    """
    for words, size in ((title, 13), *((line, 11) for line in lines)):
        if len(words) * size * 0.53 > box.width - 26:
            raise ValueError(f"ops/diagram.py: '{words}' does not fit in {box.width:g} pixels: shorten or wrap it")
    yield box.rect("card")
    yield Box(box.x, box.y + 6, 4, box.height - 12).rect(kind, radius=2)
    top = box.y + (box.height - 16 * len(lines)) / 2 + 4
    yield text(box.x + 16, top, title, "title")
    for number, line in enumerate(lines, start=1):
        yield text(box.x + 16, top + 16 * number, line, "line")


def arrow(*points: tuple[float, float], style: str = "flow", tip: bool = True) -> str:
    """A line through the points, with a tip at its end."""
    path = "M" + " L".join(f"{x:g},{y:g}" for x, y in points)
    end = f' marker-end="url(#{style})"' if tip else ""
    return f'<path class="{style}" d="{path}"{end}/>'


def row(left: float, width: float, count: int, gap: float = GAP) -> tuple[tuple[float, float], ...]:
    """The x and the width of each of `count` boxes beside each other."""
    each = (width - gap * (count - 1)) / count
    return tuple((left + number * (each + gap), each) for number in range(count))


def joined(words: Iterable[str], limit: int = 2) -> str:
    """A list in few words: the first ones, and how many more there are."""
    words = list(words)
    return ", ".join(words[:limit]) + (f" and {len(words) - limit} more" if len(words) > limit else "")


def draw(templates: Templates) -> str:
    """The picture of the environment that the templates are of, as SVG."""
    facts = Facts(templates)
    variables = environments()[ENVIRONMENT].plain_variables
    config = LiteLlmConfig.load(config_file(), provided=variables)
    parts = (
        *_frame(facts),
        *_vpc(facts),
        *_edge(facts),
        *_people(facts),
        *_accounts(facts),
        *_usage(facts),
        *_services(facts),
        *_outside(facts, config, config.hosts(variables)),
    )
    tips = "".join(
        f'<marker id="{style}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="{fill}" d="M0,0 L8,4 L0,8 Z"/></marker>'
        for style, fill in (("flow", "tip"), ("aside", "faint"))
    )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>The LLM gateway on AWS: environment {ENVIRONMENT}</title>",
            f"<style>{STYLE}</style>",
            f"<defs>{tips}</defs>",
            Box(0, 0, WIDTH, HEIGHT).rect("page", radius=12),
            *parts,
            "</svg>\n",
        )
    )


ACCOUNT = Box(208, 56, 808, 1104)
VPC = Box(232, 180, 760, 472)
ACCOUNTS = Box(232, 668, 760, 188)
USAGE = Box(232, 872, 760, 108)
LANE_X = 978  # between the zones and the VPC's edge: the private way from the functions to LiteLLM
OUTSIDE_X, OUTSIDE_WIDTH, BUS_X = 1056, 200, 1036


def _frame(facts: Facts) -> Iterator[str]:
    region = next(iter(facts.subnets("Public")))[:-1]
    yield text(24, 36, "LLM gateway", "head")
    yield text(ACCOUNT.x, 36, f"environment {ENVIRONMENT}, drawn from its CloudFormation templates", "label")
    yield ACCOUNT.rect("account", radius=10)
    yield text(ACCOUNT.x + 24, ACCOUNT.y + 24, f"AWS account, {region}", "group")


def _edge(facts: Facts) -> Iterator[str]:
    rules = facts.only("AWS::WAFv2::WebACL")["Rules"]
    host = facts.only("AWS::Route53::RecordSet", "EdgeAlias")["Name"].rstrip(".")
    certificates = facts.resources("AWS::CertificateManager::Certificate")
    validation = "validated by DNS" if certificates else "given by its ARN"
    cards = (
        ("network", "Route 53", f"alias {host}"),
        ("security", "Certificate Manager", f"TLS certificate, {validation}"),
        ("security", "AWS WAF", f"web ACL of {len(rules)} rules"),
    )
    for (x, width), (kind, title, line) in zip(row(VPC.x, VPC.width, 3), cards, strict=True):
        box = Box(x, 96, width, 54)
        yield arrow((box.right - 80, box.bottom), (box.right - 80, 270), style="aside")
        yield from card(box, kind, title, line)


def _people(facts: Facts) -> Iterator[str]:
    management = facts.only("AWS::WAFv2::IPSet")["Addresses"]
    # The ports that answer, in words: HTTPS serves, HTTP only redirects.
    ports = {listener["Port"] for listener in facts.resources("AWS::ElasticLoadBalancingV2::Listener").values()}
    yield text(24, 240, "Named ranges only", "group")
    people = Box(24, 252, 152, 84)
    yield from card(
        people, "people", "Everyone", "applications, agents,", "SDKs; their own keys", joined(facts.callers(), 1)
    )
    managers = Box(24, 352, 152, 84)
    yield from card(managers, "people", "Operators", "admin UI, accounts,", "keys, everything", joined(management, 1))
    yield arrow((people.right, 290), (270, 290))
    yield arrow((managers.right, 394), (192, 394), (192, 290), tip=False)
    yield text(182, 282, "HTTPS" if 443 in ports else "HTTP", "label")


def _vpc(facts: Facts) -> Iterator[str]:
    yield VPC.rect("vpc", radius=10)
    yield text(VPC.x + 16, VPC.y + 22, f"VPC {facts.only('AWS::EC2::VPC')['CidrBlock']}", "group")
    tiers = {
        "Public": Box(VPC.x + 8, 246, VPC.width - 16, 128),
        "Private": Box(VPC.x + 8, 382, VPC.width - 16, 148),
        "Isolated": Box(VPC.x + 8, 538, VPC.width - 16, 102),
    }
    zones = list(facts.subnets("Public"))
    columns = dict(zip(zones, row(*COLUMNS, len(zones), ZONE_GAP), strict=True))
    for tier, box in tiers.items():
        sizes = {properties["CidrBlock"].split("/")[1] for properties in facts.subnets(tier).values()}
        yield box.rect("tier", radius=6)
        yield text(COLUMNS[0] + 8, box.y + 17, f"{tier} subnets, /{'/'.join(sorted(sizes))}", "label")
    for zone, (x, width) in columns.items():
        yield Box(x - 4, 226, width + 8, 418).rect("zone", radius=6)
        yield text(x + 8, 240, zone, "label")
    yield from _public(facts, columns)
    yield from _private(facts, columns)
    yield from _isolated(facts, columns)


def _public(facts: Facts, columns: dict[str, tuple[float, float]]) -> Iterator[str]:
    left, width = COLUMNS
    facing = facts.only("AWS::ElasticLoadBalancingV2::LoadBalancer")["Scheme"]
    idle = facts.attribute("idle_timeout.timeout_seconds")
    yield from card(
        Box(left + GAP, 272, width - 2 * GAP, 40),
        "network",
        "Application Load Balancer",
        f"{facing}; HTTPS for its own host name only; idle for up to {idle} s",
    )
    nat = facts.nat_zones()
    yield arrow((left + GAP, 346), (BUS_X, 346), tip=False)
    for zone, (x, each) in columns.items():
        if zone in nat:
            yield arrow((x + each - 48, 412), (x + each - 48, 366))
            yield from card(Box(x + 12, 328, each - 24, 36), "network", "NAT gateway")


def _private(facts: Facts, columns: dict[str, tuple[float, float]]) -> Iterator[str]:
    left, width = COLUMNS
    scaling = facts.only("AWS::ApplicationAutoScaling::ScalableTarget")
    task = facts.only("AWS::ECS::TaskDefinition", "/Task")
    machine = task["RuntimePlatform"]["CpuArchitecture"]
    cpu = facts.scaling_target("ECSServiceAverageCPUUtilization")
    requests = facts.scaling_target("ALBRequestCountPerTarget")
    service = Box(left + GAP, 414, width - 2 * GAP, 58)
    port = task["ContainerDefinitions"][0]["PortMappings"][0]["ContainerPort"]
    yield arrow((gap := _gap(columns), 312), (gap, service.y - 2))
    yield text(gap + 22, 394, f"HTTP {port}", "label")
    yield from card(
        service,
        "compute",
        f"Amazon ECS on Fargate: LiteLLM {facts.parameter('litellmversion')}",
        f"{scaling['MinCapacity']} to {scaling['MaxCapacity']} tasks of {int(task['Cpu']) / 1024:g} vCPU and "
        f"{int(task['Memory']) / 1024:g} GiB ({machine}), read-only, not root",
        f"a task more at {cpu} % CPU or {requests} requests a minute and task; a failed deployment rolls back",
    )
    first, *rest = columns.values()
    migration = Box(first[0] + 12, 484, first[1] - 24, 40)
    assert facts.only("Custom::DatabaseMigration")  # noqa: S101 - the box below is drawn because of it
    yield from card(migration, "compute", "Migration task", "before the service changes")
    yield arrow((migration.right - 24, migration.bottom), (migration.right - 24, 558))
    if endpoints := facts.endpoints():
        box = Box(rest[0][0] + 12, 484, rest[-1][0] + rest[-1][1] - rest[0][0] - 24, 40)
        yield from card(box, "network", "Interface endpoints", ", ".join(endpoints))


def _isolated(facts: Facts, columns: dict[str, tuple[float, float]]) -> Iterator[str]:
    left, width = COLUMNS
    cluster = facts.only("AWS::RDS::DBCluster")
    scaling = cluster["ServerlessV2ScalingConfiguration"]
    outline = Box(left + GAP, 560, width - 2 * GAP, 74)
    words = (
        f"Aurora PostgreSQL {cluster['EngineVersion']} Serverless v2, {scaling['MinCapacity']:g} to "
        f"{scaling['MaxCapacity']:g} ACU, own key, TLS only, restorable for {cluster['BackupRetentionPeriod']} days"
    )
    gap = _gap(columns)
    yield arrow((gap, 472), (gap, outline.y - 2))
    yield text(gap + 22, 553, f"TLS {facts.only('AWS::EC2::SecurityGroupIngress', 'DatabaseGroup')['ToPort']}", "label")
    yield outline.rect("cluster")
    yield text(outline.x + 16, outline.y + 18, words, "label")
    for name, instance in facts.resources("AWS::RDS::DBInstance").items():
        x, each = columns[instance["AvailabilityZone"]]
        role = "Writer" if "Writer" in name else "Reader, for failover"
        yield from card(Box(x + 24, 588, each - 48, 36), "database", role)


def _accounts(facts: Facts) -> Iterator[str]:
    host = facts.only("AWS::ApiGatewayV2::DomainName")["DomainName"]
    route = facts.only("AWS::ApiGatewayV2::Route")["RouteKey"]
    schedule = facts.only("AWS::Scheduler::Schedule", "Onboarding/")["ScheduleExpression"]
    receiver, worker, *_ = (facts.function(f"onboarding.{name}") for name in ("receiver", "worker", "sweep", "bounces"))
    assert "VpcConfig" in worker  # noqa: S101 - the picture says so
    assert "VpcConfig" not in receiver  # noqa: S101
    yield ACCOUNTS.rect("tier", radius=6)
    yield text(ACCOUNTS.x + 16, ACCOUNTS.y + 20, "Accounts on request, from Slack", "group")
    ways, side = ACCOUNTS.y + 32, ACCOUNTS.y + 114
    flow = (
        ("network", "API Gateway: HTTP", host, route),
        ("compute", "Lambda: receiver", "checks the signature,", f"answers; {receiver['MemorySize']} MB"),
        ("storage", "Amazon SQS, FIFO", f"{facts.attempts()} attempts, then the", "dead-letter queue"),
        (
            "compute",
            "Lambda: worker",
            "in the private subnets;",
            f"retries; {worker['Timeout']} s, {worker['MemorySize']} MB",
        ),
    )
    boxes = [Box(x, ways, width, 66) for x, width in row(ACCOUNTS.x + 12, ACCOUNTS.width - 40, len(flow), 22)]
    slack = Box(24, ways, 152, 66)
    yield from card(slack, "outside", "Slack", "form, /llm-account,", "buttons; who has left")
    yield arrow((slack.right, ways + 33), (boxes[0].x - 2, ways + 33))
    yield text(182, ways + 25, "HTTPS", "label")
    for left, right in pairwise(boxes):
        yield arrow((left.right, ways + 33), (right.x - 2, ways + 33))
    for box, words in zip(boxes, flow, strict=True):
        yield from card(box, *words)
    lane = boxes[-1].right
    yield arrow((lane, ways + 22), (LANE_X, ways + 22), (LANE_X, 443), (COLUMNS[0] + COLUMNS[1] - GAP + 2, 443))
    yield arrow((lane, ways + 46), (BUS_X, ways + 46), tip=False)
    others = (
        ("compute", "Lambda: sweep", f"EventBridge, {schedule}:", "closes accounts of who has left"),
        ("compute", "Lambda: bounces", "mail that did not arrive, by", "Amazon SNS to the audit channel"),
        ("database", "Amazon DynamoDB", "requests that were done,", "so that each is done once"),
    )
    for (x, width), words in zip(row(ACCOUNTS.x + 12, ACCOUNTS.width - 40, 3, 22), others, strict=True):
        yield from card(Box(x, side, width, 62), *words)


def _usage(facts: Facts) -> Iterator[str]:
    metrics, monitors = (len(facts.resources(f"Custom::Datadog{kind}")) for kind in ("LogsMetric", "Monitor"))
    assert facts.only("Custom::DatadogDashboard")  # noqa: S101 - the picture says so
    report, bill = (facts.function(f"usage.{name}") for name in ("report", "bill"))
    assert "VpcConfig" in report  # noqa: S101 - the arrow to LiteLLM is drawn because of it
    assert "VpcConfig" in bill  # noqa: S101
    alarms = len(facts.resources("AWS::CloudWatch::Alarm"))
    channels = facts.resources("AWS::Chatbot::SlackChannelConfiguration")
    yield USAGE.rect("tier", radius=6)
    yield text(USAGE.x + 16, USAGE.y + 20, "Who uses what, and who hears of it", "group")
    cards = (
        ("management", "CloudWatch", f"{alarms} alarms, a dashboard;", "SNS: mail" + ", and Slack" * bool(channels)),
        ("compute", "Lambda: Datadog", f"{metrics} metrics, {monitors} monitors,", "a dashboard, as code"),
        ("compute", "Lambda: report", "week and month: usage,", "who fits a flat rate"),
        ("compute", "Lambda: bill", "monthly: costs against", "the clouds' bills"),
    )
    boxes = [Box(x, USAGE.y + 32, width, 62) for x, width in row(USAGE.x + 12, USAGE.width - 40, len(cards), 22)]
    for box, words in zip(boxes, cards, strict=True):
        yield from card(box, *words)
    lane, y = boxes[-1].right, boxes[-1].y
    yield arrow((lane, y + 20), (LANE_X, y + 20), (LANE_X, ACCOUNTS.y + 54), tip=False)
    yield arrow((lane, y + 42), (BUS_X, y + 42), tip=False)


def _gap(columns: dict[str, tuple[float, float]]) -> float:
    """The x between the first two zones, where nothing stands in an arrow's way."""
    x, width = next(iter(columns.values()))
    return x + width + ZONE_GAP / 2


def _services(facts: Facts) -> Iterator[str]:
    secrets = facts.only("AWS::ECS::TaskDefinition", "/Task")["ContainerDefinitions"][0]["Secrets"]
    published = facts.resources("AWS::SSM::Parameter")
    groups = facts.resources("AWS::Logs::LogGroup")
    bucket = facts.only("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"]
    functions = [name for name in facts.resources("AWS::Lambda::Function") if "/Migration" in name]
    machines = facts.resources("AWS::StepFunctions::StateMachine")
    keys = facts.resources("AWS::KMS::Key")
    owners = joined(dict.fromkeys(name.split("/")[0].lower() for name in keys))
    rotated = all(key["EnableKeyRotation"] for key in keys.values())
    store = (f"{len(secrets)} secrets of the tasks, and Slack's", f"{len(published)} values for other systems")
    logs = (f"{len(groups)} log groups: tasks, database,", f"flows, WAF, functions; {facts.retention()} days")
    runs = (f"{len(functions)} functions, {len(machines)} state machines: the", "migration, keys, mail logins")
    cards = (
        ("management", "SSM Parameter Store", *store),
        ("management", "CloudWatch Logs", *logs),
        ("storage", "Amazon S3", "access logs of the balancer,", f"{bucket} days"),
        ("compute", "Amazon ECR", f"image: LiteLLM {facts.parameter('litellmversion')}", "with our config.yaml"),
        ("compute", "Lambda and Step Functions", *runs),
        ("security", "AWS KMS", f"{len(keys)} of our own: {owners},", "rotated yearly" if rotated else "not rotated"),
    )
    for number, (kind, title, *lines) in enumerate(cards):
        x, width = row(VPC.x, VPC.width, 3)[number % 3]
        yield from card(Box(x, 996 + 78 * (number // 3), width, 66), kind, title, *lines)


def _outside(facts: Facts, config: LiteLlmConfig, hosts: tuple[str, ...]) -> Iterator[str]:
    def names(provider: str) -> list[str]:
        return list(dict.fromkeys(model.name for model in config.models if model.provider == provider))

    def host(pattern: str) -> str:
        return next(name for name in hosts if re.search(pattern, name))

    regions = ", ".join(config.bedrock_regions)
    cards = (
        ("Amazon Bedrock", f"{len(names('bedrock'))} models, in", *_wrapped(regions, 28), "by the role of the task"),
        ("Azure OpenAI", f"{len(names('azure'))} models", *_wrapped(host("azure"), 28)),
        ("Vertex AI", f"{len(names('vertex_ai'))} models", *_wrapped(host("aiplatform"), 28)),
        ("Datadog", "usage, without prompts", *_wrapped(host("datadog"), 28)),
        ("Slack", "answers, audit, reports,", "alerts for operators"),
        ("Amazon SES", f"mail of {_mail_domain(facts)}:", "invitations by its API,", "notices by SMTP, port 587"),
    )
    yield text(OUTSIDE_X, 84, "Outside, called by name", "group")
    y, middles = 96.0, []
    space = (ACCOUNT.bottom - y - sum(40 + 16 * len(lines) for _, *lines in cards)) / (len(cards) - 1)
    for title, *lines in cards:
        box = Box(OUTSIDE_X, y, OUTSIDE_WIDTH, 40 + 16 * len(lines))
        middles.append(box.middle[1])
        yield arrow((BUS_X, box.middle[1]), (OUTSIDE_X - 2, box.middle[1]))
        yield from card(box, "outside", title, *lines)
        y = box.bottom + space
    yield arrow((BUS_X, middles[0]), (BUS_X, middles[-1]), tip=False)


def _mail_domain(facts: Facts) -> str:
    return str(facts.only("AWS::SES::EmailIdentity")["EmailIdentity"])


def _wrapped(words: str, width: int) -> list[str]:
    """A list or a host name in lines of at most `width` characters, broken after a comma or before a dot."""
    lines = [""]
    for piece in re.findall(r"[^,.]+,? ?|\.[^,.]+", words):
        if len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.strip() for line in lines]


def main(arguments: list[str]) -> None:
    """Draw the picture, into the documentation or the file that is named."""
    file = Path(arguments[0]) if arguments else PICTURE
    file.write_text(draw(synthesize()), "utf-8")
    print(f"drawn: {file}")


if __name__ == "__main__":
    main(sys.argv[1:])
