"""Draws an environment from its synthesized templates: `make diagram ENV=prod`, or all without ENV.

    python -m ops.diagram [--env NAME]

A company's pictures are in its folder, `company/architecture-NAME.svg`. Where there is no company, the picture of the
documentation is drawn, `docs/architecture.svg`: the example's prod. A test draws that again and compares.

Every box stands for resources of the templates, and every number in it is read from them. What they do not hold comes
from the company's settings and its config.yaml: the VPC that was there already, the providers, their regions and hosts.

Exit codes: 0 drawn; 2 a mistake in the settings, in one sentence.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ops.access import environment_named, run
from ops.templates import Facts, Properties, Templates, synthesize
from stacks import CHECKOUT
from stacks.company import EXAMPLE, company, config_file, environments
from stacks.litellm_config import LiteLlmConfig
from stacks.settings import Environment

PICTURE: Final = CHECKOUT / "docs" / "architecture.svg"
DRAWN: Final = "prod"
"""The example's environment in the documentation."""

LINE, TITLE = 11, 13  # sizes of letters
MARGINS = 26  # of a card, left and right together
GAP = 16
PEOPLE_X, PEOPLE_WIDTH = 24, 152
ACCOUNT_X, VPC_X, ZONES_X = 208, 232, 256
OUTSIDE_WIDTH = 200
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

    def rect(self, style: str, radius: int = 8) -> str:
        """It, as an SVG rectangle."""
        return (
            f'<rect class="{style}" x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" '
            f'height="{self.height:g}" rx="{radius}"/>'
        )


@dataclass(frozen=True)
class Card:
    """What a titled box says, in the colour of its kind."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()

    def within(self, width: float) -> Card:
        """It, with every line wrapped to a width."""
        return Card(self.kind, self.title, tuple(piece for line in self.lines for piece in wrapped(line, width)))

    @property
    def height(self) -> int:
        """The least height that it needs."""
        return 30 + 16 * len(self.lines)


def text(x: float, y: float, words: str, style: str, anchor: str = "start") -> str:
    """One line of text."""
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{html.escape(words)}</text>'


def span(words: str, size: int = LINE) -> float:
    """How wide a line is in the widest of the usual fonts."""
    return len(words) * size * 0.53


def fits(words: str, width: float, size: int = LINE) -> bool:
    """Whether a line has room in a card."""
    return span(words, size) <= width - MARGINS


def card(box: Box, kind: str, title: str, *lines: str) -> Iterator[str]:
    """A titled box with a stripe in its kind's colour.

    Raises
    ------
    ValueError
        A line is too long for the box.
    """
    for words, size in ((title, TITLE), *((line, LINE) for line in lines)):
        if not fits(words, box.width, size):
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


def cards_in_a_row(left: float, top: float, width: float, cards: Sequence[Card], gap: float = GAP) -> dict[Box, Card]:
    """Cards beside each other, all as high as the highest."""
    places = row(left, width, len(cards), gap)
    fitted = [one.within(each) for one, (_, each) in zip(cards, places, strict=True)]
    height = max(one.height for one in fitted)
    return {Box(x, top, each, height): one for (x, each), one in zip(places, fitted, strict=True)}


def wrapped(words: str, width: float, most: int = 3) -> list[str]:
    """Words in lines that have room in a card of this width; what is longer than `most` lines ends in an ellipsis.

    A line breaks between words, and within one that is too long by itself (a host name, a command) at its own joints.
    """
    limit = int((width - MARGINS) / span("m"))
    pieces: list[str] = []
    for word in words.split():
        joints = [word] if len(word) <= limit else re.split(r"(?<=[-_,/])|(?=\.)", word)
        chunks = [part[at : at + limit] for part in joints for at in range(0, len(part), limit)]
        pieces += [*chunks[:-1], f"{chunks[-1]} "]
    lines = [""]
    for piece in pieces:
        if len(lines[-1] + piece.rstrip()) > limit:
            lines.append("")
        lines[-1] += piece
    lines = [line.strip() for line in lines]
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1][: limit - 1]}…"]


def joined(words: Sequence[str], limit: float) -> str:
    """A list in one line of at most `limit` characters: the first ones, and how many more there are."""
    for count in range(len(words), 0, -1):
        rest = f" and {len(words) - count} more" if count < len(words) else ""
        if len(line := ", ".join(words[:count]) + rest) <= limit:
            return line
    return f"{len(words)} of them"


def ranges(cidrs: Sequence[str]) -> tuple[str, ...]:
    """The first range, and in another line how many more there are."""
    more = len(cidrs) - 1
    return (cidrs[0], *([f"and {more} more range{'s' * (more > 1)}"] if more else []))


def number(count: int, one: str, many: str | None = None) -> str:
    """A number of things, in words."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


@dataclass(frozen=True)
class Layout:
    """Where the columns of the picture are: a company may have any number of zones."""

    zones: tuple[str, ...]

    @property
    def gap(self) -> int:
        """Between two zones."""
        return 28 if len(self.zones) <= 4 else 16

    @property
    def room(self) -> float:
        """What the zones share."""
        return max(712, len(self.zones) * 112 + (len(self.zones) - 1) * self.gap)

    @property
    def columns(self) -> dict[str, tuple[float, float]]:
        """The x and the width of each zone."""
        return dict(zip(self.zones, row(ZONES_X, self.room, len(self.zones), self.gap), strict=True))

    @property
    def gaps(self) -> tuple[float, float]:
        """The x between the first two zones and that between the last two, where nothing stands in an arrow's way."""
        columns = list(self.columns.values())
        return columns[1][0] - self.gap / 2, columns[-1][0] - self.gap / 2

    @property
    def width(self) -> float:
        """Of the VPC, and of the sections below it."""
        return self.room + 48

    @property
    def lane(self) -> float:
        """The x of the private way from the functions to LiteLLM: between the zones and the VPC's edge."""
        return VPC_X + self.width - 14

    @property
    def bus(self) -> float:
        """The x of the way out."""
        return VPC_X + self.width + 44

    @property
    def outside(self) -> float:
        """The x of what is called outside."""
        return self.bus + 20


def draw(environment: Environment, config: LiteLlmConfig, templates: Templates) -> str:
    """The picture of the environment that the templates are of, as SVG."""
    return Drawing(environment, config, Facts(templates)).svg()


class Drawing:
    """The picture in the making: each part begins below the one before, and is there if the templates have it."""

    def __init__(self, environment: Environment, config: LiteLlmConfig, facts: Facts) -> None:
        self.environment, self.config, self.facts = environment, config, facts
        self.layout = Layout(environment.network.zones)
        self.parts: list[str] = []
        self.private_ways: list[float] = []  # the y of each function that asks LiteLLM
        self.way_out: list[float] = []  # the y of everything that calls the outside
        self.bottom = 96.0

    def svg(self) -> str:
        """All of it."""
        self._edge()
        self._vpc()
        self._people()
        if self.facts.function("onboarding.receiver"):
            self._accounts()
        self._usage()
        self._services()
        self._private_way()
        self._outside()
        width, height = self.layout.outside + OUTSIDE_WIDTH + 24, self.bottom + 24
        tips = "".join(
            f'<marker id="{style}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            f'markerUnits="userSpaceOnUse" orient="auto"><path class="{fill}" d="M0,0 L8,4 L0,8 Z"/></marker>'
            for style, fill in (("flow", "tip"), ("aside", "faint"))
        )
        account = Box(ACCOUNT_X, 56, self.layout.width + 48, self.bottom - 56)
        return "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
                f"<title>The LLM gateway on AWS: environment {self.environment.name}</title>",
                f"<style>{STYLE}</style>",
                f"<defs>{tips}</defs>",
                Box(0, 0, width, height).rect("page", radius=12),
                text(24, 36, "LLM gateway", "head"),
                text(
                    ACCOUNT_X,
                    36,
                    f"environment {self.environment.name}, drawn from its CloudFormation templates",
                    "label",
                ),
                account.rect("account", radius=10),
                text(account.x + 24, account.y + 24, f"AWS account, {self.environment.region}", "group"),
                *self.parts,
                "</svg>\n",
            )
        )

    def _card(self, box: Box, one: Card) -> None:
        self.parts += card(box, one.kind, one.title, *one.lines)

    def _cards(self, left: float, top: float, width: float, cards: Sequence[Card], gap: float = GAP) -> list[Box]:
        """Draw cards in a row."""
        made = cards_in_a_row(left, top, width, cards, gap)
        for box, one in made.items():
            self._card(box, one)
        return list(made)

    def _out(self, x: float, y: float) -> None:
        """A line from x to the way out."""
        self.parts.append(arrow((x, y), (self.layout.bus, y), tip=False))
        self.way_out.append(y)

    def _edge(self) -> None:
        rules = self.facts.only("AWS::WAFv2::WebACL")["Rules"]
        host = self.facts.only("AWS::Route53::RecordSet", "EdgeAlias")["Name"].rstrip(".")
        made = any(name.startswith("Gateway/") for name in self.facts.resources("AWS::CertificateManager::Certificate"))
        cards = (
            Card("network", "Route 53", (f"alias {host}",)),
            Card("security", "Certificate Manager", (f"TLS certificate, {'validated by DNS' if made else 'given'}",)),
            Card("security", "AWS WAF", (f"web ACL of {number(len(rules), 'rule')}",)),
        )
        boxes = self._cards(VPC_X, self.bottom, self.layout.width, cards)
        self.meeting = boxes[0].bottom + 12  # where their lines come together
        xs = [box.x + box.width / 2 for box in boxes]
        self.parts += [arrow((x, boxes[0].bottom), (x, self.meeting), style="aside", tip=False) for x in xs]
        ends = [*xs, self.layout.gaps[1]]
        self.parts.append(arrow((min(ends), self.meeting), (max(ends), self.meeting), style="aside", tip=False))
        self.bottom = boxes[0].bottom + 28

    def _people(self) -> None:
        management = self.facts.only("AWS::WAFv2::IPSet")["Addresses"]
        # The ports that answer, in words: HTTPS serves, HTTP only redirects.
        ports = {item["Port"] for item in self.facts.resources("AWS::ElasticLoadBalancingV2::Listener").values()}
        everyone = Card(
            "people", "Everyone", ("applications, agents,", "SDKs; their own keys", *ranges(self.facts.callers()))
        )
        operators = Card("people", "Operators", ("admin UI, accounts,", "keys, everything", *ranges(management)))
        y = self.balancer.y + 18
        people = Box(PEOPLE_X, y - 36, PEOPLE_WIDTH, everyone.height + 6)
        managers = Box(PEOPLE_X, people.bottom + 16, PEOPLE_WIDTH, operators.height + 6)
        self.parts.append(text(PEOPLE_X, people.y - 12, "Named ranges only", "group"))
        self._card(people, everyone)
        self._card(managers, operators)
        middle = managers.y + managers.height / 2
        self.parts.append(arrow((people.right, y), (self.balancer.x - 2, y)))
        self.parts.append(arrow((managers.right, middle), (192, middle), (192, y), tip=False))
        self.parts.append(text(182, y - 8, "HTTPS" if 443 in ports else "HTTP", "label"))

    def _vpc(self) -> None:
        """The VPC by its tiers. Those of one that was there already have no subnets in the templates."""
        begin, tops = len(self.parts), self.bottom
        public, nat = self.facts.is_public(), self.facts.nat_zones()
        self.bottom += 66
        if public or nat:
            self._public(public, nat)
        self._private(public, nat)
        self._isolated()
        vpc = Box(VPC_X, tops, self.layout.width, self.bottom + 12 - tops)
        frame = [vpc.rect("vpc", radius=10), text(vpc.x + 16, vpc.y + 22, self._vpc_name(), "group")]
        zones = [
            part
            for zone, (x, width) in self.layout.columns.items()
            for part in (
                Box(x - 4, tops + 46, width + 8, self.bottom + 4 - tops - 46).rect("zone", radius=6),
                text(x + 8, tops + 60, zone, "label"),
            )
        ]
        # The frame first, under the tiers; a tier's ground is before what stands on it, and zones between the two.
        grounds = [part for part in self.parts[begin:] if 'class="tier"' in part]
        others = [part for part in self.parts[begin:] if 'class="tier"' not in part]
        to_balancer = arrow(
            (self.layout.gaps[1], self.meeting), (self.layout.gaps[1], self.balancer.y - 2), style="aside"
        )
        self.parts[begin:] = [*frame, *grounds, *zones, to_balancer, *others]
        self.bottom = vpc.bottom + 16

    def _vpc_name(self) -> str:
        existing = self.environment.network.vpc
        if existing:
            return f"VPC {existing.id}, {self.environment.network.cidr}"
        return f"VPC {self.facts.only('AWS::EC2::VPC')['CidrBlock']}"

    def _tier(self, name: str, height: float) -> None:
        """The ground of a tier from the lower edge so far, with the size of its subnets where they are new."""
        sizes = sorted({one["CidrBlock"].split("/")[1] for one in self.facts.subnets(name).values()})
        ground = Box(VPC_X + 8, self.bottom, self.layout.width - 16, height)
        self.parts.append(ground.rect("tier", radius=6))
        self.parts.append(
            text(ZONES_X + 8, ground.y + 17, f"{name} subnets{f', /{sizes[0]}' if sizes else ''}", "label")
        )

    def _balance(self, y: float) -> None:
        facing = self.facts.only("AWS::ElasticLoadBalancingV2::LoadBalancer")["Scheme"]
        idle = self.facts.attribute("idle_timeout.timeout_seconds")
        self.balancer = Box(ZONES_X + GAP, y, self.layout.room - 2 * GAP, 40)
        words = f"{facing}; HTTPS for its own host name only; idle for up to {idle} s"
        self._card(self.balancer, Card("network", "Application Load Balancer", (words,)))

    def _public(self, public: bool, nat: set[str]) -> None:
        top = self.bottom
        self._tier("Public", 26 + (40 + 16 * bool(nat)) * public + 36 * bool(nat) + 10)
        if public:
            self._balance(top + 26)
        self.nat_y = top + 26 + 56 * public
        if nat:
            first = next(x for zone, (x, _) in self.layout.columns.items() if zone in nat)
            self._out(first + 12, self.nat_y + 18)
        for zone, (x, each) in self.layout.columns.items():
            if zone in nat:
                title = "NAT gateway" if fits("NAT gateway", each - 24, TITLE) else "NAT"
                self._card(Box(x + 12, self.nat_y, each - 24, 36), Card("network", title))
        self.bottom = top + 26 + (40 + 16 * bool(nat)) * public + 36 * bool(nat) + 18

    def _private(self, public: bool, nat: set[str]) -> None:
        top, left, room = self.bottom, ZONES_X, self.layout.room
        height = (32 if public else 26 + 40 + 34) + 58 + 12 + 40 + 6
        self._tier("Private", height)
        if not public:
            self._balance(top + 26)
        self.service = service = Box(left + GAP, top + height - 116, room - 2 * GAP, 58)
        self._to_nat(public, nat)
        self._card(service, self._tasks())
        gap, port = self.layout.gaps[0], self._container()["PortMappings"][0]["ContainerPort"]
        self.parts.append(arrow((gap, self.balancer.bottom), (gap, service.y - 2)))
        self.parts.append(text(gap + 22, service.y - 12, f"HTTP {port}", "label"))
        self._beside_the_tasks(service.bottom + 12)
        self.bottom = top + height + 8

    def _to_nat(self, public: bool, nat: set[str]) -> None:
        """The tasks' way to the NAT gateways: straight up, or around an internal load balancer."""
        service, below = self.service, self.nat_y + 38 if nat else 0
        xs = [x + each - 24 for zone, (x, each) in self.layout.columns.items() if zone in nat]
        if public:
            self.parts += [arrow((x, service.y - 2), (x, below)) for x in xs]
        elif xs:
            side, under = service.right + 10, below + 12
            self.parts.append(
                arrow((service.right, service.y + 14), (side, service.y + 14), (side, under), (xs[0], under), tip=False)
            )
            self.parts += [arrow((x, under), (x, below)) for x in xs]

    def _tasks(self) -> Card:
        scaling = self.facts.only("AWS::ApplicationAutoScaling::ScalableTarget")
        task = self.facts.only("AWS::ECS::TaskDefinition", "/Task")
        least, most = scaling["MinCapacity"], scaling["MaxCapacity"]
        cpu = self.facts.scaling_target("ECSServiceAverageCPUUtilization")
        requests = self.facts.scaling_target("ALBRequestCountPerTarget")
        machine = task["RuntimePlatform"]["CpuArchitecture"]
        more = f"a task more at {cpu} % CPU or {requests} requests a minute and task; " if most > least else ""
        providers = self.facts.only("AWS::ECS::Service")["CapacityProviderStrategy"]
        spot = any(one["CapacityProvider"] == "FARGATE_SPOT" for one in providers)
        return Card(
            "compute",
            f"Amazon ECS on Fargate{' Spot' * spot}: LiteLLM {self.facts.parameter('litellmversion')}",
            (
                f"{f'{least} to ' if most > least else ''}{number(most, 'task')} of {int(task['Cpu']) / 1024:g} vCPU "
                f"and {int(task['Memory']) / 1024:g} GiB ({machine}), read-only, not root",
                f"{more}a failed deployment rolls back",
            ),
        )

    def _container(self) -> Properties:
        task = self.facts.only("AWS::ECS::TaskDefinition", "/Task")
        return dict(task["ContainerDefinitions"][0])

    def _beside_the_tasks(self, y: float) -> None:
        """The migration, the way to the database, the interface endpoints, and the way out of an existing VPC."""
        assert self.facts.only("Custom::DatabaseMigration")  # noqa: S101 - the box below is drawn because of it
        migration = Box(ZONES_X + 12, y, 200, 40)
        self._card(migration, Card("compute", "Migration task", ("before the service changes",)))
        self.parts.append(arrow((migration.right - 24, migration.bottom), (migration.right - 24, y + 74)))
        to_database = migration.right + 20
        self.parts.append(arrow((to_database, self.service.bottom), (to_database, y + 74)))
        port = self.facts.only("AWS::EC2::SecurityGroupIngress", "DatabaseGroup")["ToPort"]
        self.parts.append(text(to_database + 8, y + 24, f"TLS {port}", "label"))
        left = migration.right + 92
        width = ZONES_X + self.layout.room - 12 - left
        endpoints, existing = self.facts.endpoints(), self.environment.network.vpc
        count = bool(endpoints) + bool(existing)
        places = iter(row(left, width, count)) if count else iter(())
        if endpoints:
            x, each = next(places)
            words = joined(endpoints, (each - MARGINS) / span("m"))
            self._card(Box(x, y, each, 40), Card("network", "Interface endpoints", (words,)))
        if existing:
            x, each = next(places)
            addresses = [str(address) for address in existing.nat_addresses]
            words = f"as {joined(addresses, (each - MARGINS) / span('m') - 3)}" if addresses else "as its routes lead"
            self._out(x + each, y + 20)
            self._card(Box(x, y, each, 40), Card("network", "The VPC's own way out", (words,)))

    def _isolated(self) -> None:
        cluster = self.facts.only("AWS::RDS::DBCluster")
        scaling = cluster["ServerlessV2ScalingConfiguration"]
        top = self.bottom
        self._tier("Isolated", 102)
        outline = Box(ZONES_X + GAP, top + 22, self.layout.room - 2 * GAP, 74)
        self.parts.append(outline.rect("cluster"))
        days = number(cluster["BackupRetentionPeriod"], "day")
        words = (
            f"Aurora PostgreSQL {cluster['EngineVersion']} Serverless v2, {scaling['MinCapacity']:g} to "
            f"{scaling['MaxCapacity']:g} ACU, own key, TLS only, restorable for {days}"
        )
        self.parts.append(text(outline.x + 16, outline.y + 18, words, "label"))
        for name, instance in self.facts.resources("AWS::RDS::DBInstance").items():
            x, each = self.layout.columns[instance["AvailabilityZone"]]
            margin = 24 if each > 150 else 20
            title = "Writer" if "Writer" in name else "Reader, for failover"
            if not fits(title, each - 2 * margin, TITLE):
                title = "Reader"
            self._card(Box(x + margin, outline.y + 28, each - 2 * margin, 36), Card("database", title))
        self.bottom = top + 102

    def _section(self, title: str) -> float:
        """Begin a section below the VPC; its ground is put in by `_end`. Where its cards begin."""
        self.section_begin = len(self.parts), self.bottom
        self.parts.append(text(VPC_X + 16, self.bottom + 20, title, "group"))
        return self.bottom + 32

    def _end(self, bottom: float) -> None:
        begin, top = self.section_begin
        self.parts.insert(begin, Box(VPC_X, top, self.layout.width, bottom + 14 - top).rect("tier", radius=6))
        self.bottom = bottom + 14 + 16

    def _accounts(self) -> None:
        ways = self._section("Accounts on request, from Slack")
        left, width = VPC_X + 12, self.layout.width - 40
        receiver, worker = (self._function(f"onboarding.{name}") for name in ("receiver", "worker"))
        assert "VpcConfig" in worker  # noqa: S101 - the picture says so
        assert "VpcConfig" not in receiver  # noqa: S101
        flow = (
            Card(
                "network",
                "API Gateway: HTTP",
                (
                    self.facts.only("AWS::ApiGatewayV2::DomainName")["DomainName"],
                    self.facts.only("AWS::ApiGatewayV2::Route")["RouteKey"],
                ),
            ),
            Card("compute", "Lambda: receiver", ("checks the signature,", f"answers; {receiver['MemorySize']} MB")),
            Card("storage", "Amazon SQS, FIFO", (f"{self.facts.attempts()} attempts, then the", "dead-letter queue")),
            Card(
                "compute",
                "Lambda: worker",
                ("in the private subnets;", f"retries; {worker['Timeout']} s, {worker['MemorySize']} MB"),
            ),
        )
        boxes = self._cards(left, ways, width, flow, 22)
        for one, other in pairwise(boxes):
            self.parts.append(arrow((one.right, ways + 31), (other.x - 2, ways + 31)))
        self._slack(ways)
        self.parts.append(arrow((PEOPLE_X + PEOPLE_WIDTH, ways + 31), (boxes[0].x - 2, ways + 31)))
        self.parts.append(text(182, ways + 23, "HTTPS", "label"))
        self._asks_litellm(boxes[-1])
        schedule = self.facts.only("AWS::Scheduler::Schedule", "Onboarding/")["ScheduleExpression"]
        others = (
            Card("compute", "Lambda: sweep", (f"EventBridge, {schedule}:", "closes accounts of who has left")),
            Card("compute", "Lambda: bounces", ("mail that did not arrive, by", "Amazon SNS to the audit channel")),
            Card("database", "Amazon DynamoDB", ("requests that were done,", "so that each is done once")),
        )
        self._end(self._cards(left, boxes[0].bottom + 16, width, others, 22)[0].bottom)

    def _slack(self, y: float) -> None:
        assert self.environment.onboarding  # noqa: S101 - there are its functions
        words = Card("outside", "Slack", (f"form, {self.environment.onboarding.command},", "buttons; who has left"))
        fitted = words.within(PEOPLE_WIDTH)
        self._card(Box(PEOPLE_X, y, PEOPLE_WIDTH, fitted.height), fitted)

    def _function(self, module: str) -> Properties:
        found = self.facts.function(module)
        if found is None:
            raise LookupError(f"no function is {module}: ops/diagram.py must be told what took its place")
        return found

    def _asks_litellm(self, box: Box) -> None:
        """Lines from a function: the private way to LiteLLM, and the way out."""
        assert self.facts.only("AWS::EC2::SecurityGroupIngress", "GatewayGroupFromFunctionsGroup")  # noqa: S101
        self.private_ways.append(box.y + 20)
        self.parts.append(arrow((box.right, box.y + 20), (self.layout.lane, box.y + 20), tip=False))
        self._out(box.right, box.y + 42)

    def _private_way(self) -> None:
        """The arrow that the functions' lines come together in."""
        if self.private_ways:
            lane, y = self.layout.lane, self.service.y + 29
            self.parts.append(arrow((lane, max(self.private_ways)), (lane, y), (self.service.right + 2, y)))

    def _usage(self) -> None:
        top = self._section("Who uses what, and who hears of it")
        datadog, functions = self.facts.resources("Custom::DatadogDashboard"), self._usage_functions()
        cards = [self._alarms(), *([self._datadog()] if datadog else []), *functions]
        boxes = self._cards(VPC_X + 12, top, self.layout.width - 40, cards, 22)
        if functions:
            self._asks_litellm(boxes[-1])
        elif datadog:
            self._out(boxes[-1].right, boxes[-1].y + 42)
        self._end(boxes[0].bottom)

    def _alarms(self) -> Card:
        told = [
            *(["mail"] if self.facts.told_by_mail() else []),
            *(["Slack"] if self.facts.told_in_slack() else []),
        ]
        alarms = number(len(self.facts.resources("AWS::CloudWatch::Alarm")), "alarm")
        return Card(
            "management",
            "CloudWatch",
            (f"{alarms}, a dashboard;", f"SNS: {' and '.join(told)}" if told else "SNS: nobody listens yet"),
        )

    def _datadog(self) -> Card:
        metrics, monitors = (
            number(len(self.facts.resources(f"Custom::Datadog{kind}")), word)
            for kind, word in (("LogsMetric", "metric"), ("Monitor", "monitor"))
        )
        return Card("compute", "Lambda: Datadog", (f"{metrics}, {monitors},", "a dashboard, as code"))

    def _usage_functions(self) -> list[Card]:
        """The functions that ask LiteLLM for usage; an arrow to it is drawn because they are in the VPC."""
        found = {name: self.facts.function(f"usage.{name}") for name in ("report", "bill")}
        assert all("VpcConfig" in one for one in found.values() if one)  # noqa: S101
        cards = []
        if found["report"] and (report := self.environment.report):
            periods = " and ".join(name for name, on in (("week", report.weekly), ("month", report.monthly)) if on)
            advice = "who fits a flat rate" if report.plans else "who used most"
            cards.append(Card("compute", "Lambda: report", (f"{periods}: usage,", advice)))
        if found["bill"]:
            cards.append(Card("compute", "Lambda: bill", ("monthly: costs against", "the clouds' bills")))
        return cards

    def _services(self) -> None:
        published, groups = self.facts.resources("AWS::SSM::Parameter"), self.facts.resources("AWS::Logs::LogGroup")
        bucket = self.facts.only("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"]
        functions = [name for name in self.facts.resources("AWS::Lambda::Function") if "/Migration" in name]
        machines = len(self.facts.resources("AWS::StepFunctions::StateMachine"))
        keys = self.facts.resources("AWS::KMS::Key")
        owners = ", ".join(dict.fromkeys(name.split("/")[0].lower() for name in keys))
        rotated = all(key["EnableKeyRotation"] for key in keys.values())
        of_slack = ", and Slack's" if self.environment.onboarding or self.environment.report else ""
        flows = "flows, " if self.facts.resources("AWS::EC2::FlowLog") else ""
        logins = ", mail logins" if self.facts.resources("Custom::SmtpCredentials") else ""
        cards = (
            Card(
                "management",
                "SSM Parameter Store",
                (
                    f"{len(self._container()['Secrets'])} secrets of the tasks{of_slack}",
                    f"{len(published)} values for other systems",
                ),
            ),
            Card(
                "management",
                "CloudWatch Logs",
                (
                    f"{len(groups)} log groups: tasks, database,",
                    f"{flows}WAF, functions; {self.facts.retention()} days",
                ),
            ),
            Card("storage", "Amazon S3", ("access logs of the balancer,", number(bucket, "day"))),
            Card(
                "compute",
                "Amazon ECR",
                (f"image: LiteLLM {self.facts.parameter('litellmversion')}", "with our config.yaml"),
            ),
            Card(
                "compute",
                "Lambda and Step Functions",
                (
                    f"{number(len(functions), 'function')}, {number(machines, 'state machine')}: the",
                    f"migration, keys{logins}",
                ),
            ),
            Card(
                "security",
                "AWS KMS",
                (f"{len(keys)} of our own: {owners},", "rotated yearly" if rotated else "not rotated"),
            ),
        )
        for three in (cards[:3], cards[3:]):
            self.bottom = self._cards(VPC_X, self.bottom, self.layout.width, three)[0].bottom + 12
        self.bottom += 12

    def _outside(self) -> None:
        cards = [one.within(OUTSIDE_WIDTH) for one in self._called()]
        top, gap = 96.0, 20.0
        needed = sum(one.height for one in cards)
        self.bottom = max(self.bottom, top + needed + gap * (len(cards) - 1))
        gap = min(96.0, (self.bottom - top - needed) / (len(cards) - 1)) if len(cards) > 1 else gap
        x, bus = self.layout.outside, self.layout.bus
        self.parts.append(text(x, top - 12, "Outside, called by name", "group"))
        for one in cards:
            box = Box(x, top, OUTSIDE_WIDTH, one.height)
            self.way_out.append(middle := box.y + box.height / 2)
            self.parts.append(arrow((bus, middle), (x - 2, middle)))
            self._card(box, one)
            top = box.bottom + gap
        self.parts.append(arrow((bus, min(self.way_out)), (bus, max(self.way_out)), tip=False))

    def _called(self) -> Iterator[Card]:
        """What is called outside of the account: the providers of config.yaml, and whoever gets messages."""
        variables = self.environment.plain_variables
        hosts = self.config.hosts(variables)
        providers = (
            ("bedrock", "Amazon Bedrock", ""),
            ("azure", "Azure OpenAI", r"\.azure\.com$"),
            ("vertex_ai", "Vertex AI", "aiplatform"),
        )
        for provider, title, pattern in providers:
            models = {model.name for model in self.config.models if model.provider == provider}
            if provider == "bedrock" and models:
                count, regions = number(len(models), "model"), ", ".join(self.config.bedrock_regions)
                yield Card("outside", title, (f"{count}, in", regions, "by the role of the task"))
            elif models:
                called = [host for host in hosts if re.search(pattern, host)]
                more = [f"and {len(called) - 1} more"] if len(called) > 1 else []
                yield Card("outside", title, (number(len(models), "model"), called[0], *more))
        if datadog := next((host for host in hosts if "datadog" in host), None):
            yield Card("outside", "Datadog", ("usage, without prompts", datadog))
        if told := self._told_in_slack():
            yield Card("outside", "Slack", (", ".join(told),))
        domain = self.facts.only("AWS::SES::EmailIdentity")["EmailIdentity"]
        mails = [
            *(["invitations by its API"] if self.environment.onboarding else []),
            *(["notices by SMTP, port 587"] if self.facts.resources("Custom::SmtpCredentials") else []),
        ]
        yield Card("outside", "Amazon SES", (f"mail of {domain}", *mails))

    def _told_in_slack(self) -> list[str]:
        told = {
            "answers": self.environment.onboarding,
            "audit": self.environment.onboarding,
            "reports": self.environment.report,
            "alerts for operators": "slack" in self.config.alerting,
        }
        return [name for name, on in told.items() if on]


def picture(name: str) -> str:
    """The picture of an environment of the company in force."""
    environment = environments()[name]
    config = environment.litellm_config(config_file())
    return draw(environment, config, synthesize(name))


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.diagram", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--env", metavar="NAME", help="an environment of company/environments.py; without it, all")
    name = parser.parse_args(argv).env

    def work() -> int:
        own = company()
        chosen = [environment_named(name).name] if name else list(own.environments)
        files = {each: own.folder / f"architecture-{each}.svg" for each in chosen}
        if own.folder == EXAMPLE and not name:
            files = {DRAWN: PICTURE}
        for each, file in files.items():
            file.write_text(picture(each), "utf-8")
            print(f"drawn: {file.relative_to(CHECKOUT)}")
        return 0

    return run("diagram", work)


if __name__ == "__main__":
    sys.exit(main())
