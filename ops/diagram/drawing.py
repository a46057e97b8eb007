"""Where everything in the picture is: each part begins below the one before, and arrows join what asks what."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ops.diagram.cards import GAP, Card, card, cards_in_a_row, row
from ops.diagram.contents import Contents
from ops.diagram.layout import ACCOUNT_X, OUTSIDE_WIDTH, PEOPLE_WIDTH, PEOPLE_X, VPC_X, ZONES_X, Layout
from ops.diagram.svg import Box, arrow, document, text
from ops.diagram.words import MARGINS, TITLE, fits, joined, span
from ops.templates import Facts, Templates
from stacks.litellm_config import LiteLlmConfig
from stacks.settings import Environment


def draw(environment: Environment, config: LiteLlmConfig, templates: Templates) -> str:
    """The picture of the environment that the templates are of, as SVG."""
    return Drawing(Contents(environment, config, Facts(templates))).svg()


class Drawing:
    """The picture in the making: each part begins below the one before, and is there if the templates have it."""

    def __init__(self, contents: Contents) -> None:
        self.contents, self.environment, self.facts = contents, contents.environment, contents.facts
        self.layout = Layout(self.environment.network.zones)
        self.parts: list[str] = []
        self.private_ways: list[float] = []  # the y of each function that asks LiteLLM
        self.way_out: list[float] = []  # the y of everything that calls the outside
        self.bottom = 96.0

    def svg(self) -> str:
        """All of it."""
        self._edge()
        self._vpc()
        self._people()
        if self.contents.has_accounts():
            self._accounts()
        self._usage()
        self._services()
        self._private_way()
        self._outside()
        account = Box(ACCOUNT_X, 56, self.layout.width + 48, self.bottom - 56)
        subtitle = f"environment {self.environment.name}, drawn from its CloudFormation templates"
        ground = (
            text(24, 36, "LLM gateway", "head"),
            text(ACCOUNT_X, 36, subtitle, "label"),
            account.rect("account", radius=10),
            text(account.x + 24, account.y + 24, f"AWS account, {self.environment.region}", "group"),
        )
        return document(
            f"The LLM gateway on AWS: environment {self.environment.name}",
            self.layout.outside + OUTSIDE_WIDTH + 24,
            self.bottom + 24,
            (*ground, *self.parts),
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
        boxes = self._cards(VPC_X, self.bottom, self.layout.width, self.contents.edge())
        self.meeting = boxes[0].bottom + 12  # where their lines come together
        xs = [box.x + box.width / 2 for box in boxes]
        self.parts += [arrow((x, boxes[0].bottom), (x, self.meeting), style="aside", tip=False) for x in xs]
        ends = [*xs, self.layout.gaps[1]]
        self.parts.append(arrow((min(ends), self.meeting), (max(ends), self.meeting), style="aside", tip=False))
        self.bottom = boxes[0].bottom + 28

    def _people(self) -> None:
        everyone, operators = self.contents.everyone(), self.contents.operators()
        y = self.balancer.y + 18
        people = Box(PEOPLE_X, y - 36, PEOPLE_WIDTH, everyone.height + 6)
        managers = Box(PEOPLE_X, people.bottom + 16, PEOPLE_WIDTH, operators.height + 6)
        self.parts.append(text(PEOPLE_X, people.y - 12, "Named ranges only", "group"))
        self._card(people, everyone)
        self._card(managers, operators)
        middle = managers.y + managers.height / 2
        self.parts.append(arrow((people.right, y), (self.balancer.x - 2, y)))
        self.parts.append(arrow((managers.right, middle), (192, middle), (192, y), tip=False))
        self.parts.append(text(182, y - 8, self.contents.protocol(), "label"))

    def _vpc(self) -> None:
        """The VPC by its tiers. Those of one that was there already have no subnets in the templates."""
        begin, top = len(self.parts), self.bottom
        public, nat = self.facts.is_public(), self.facts.nat_zones()
        self.bottom += 66
        if public or nat:
            self._public(public, nat)
        self._private(public, nat)
        self._isolated()
        vpc = Box(VPC_X, top, self.layout.width, self.bottom + 12 - top)
        frame = [vpc.rect("vpc", radius=10), text(vpc.x + 16, vpc.y + 22, self.contents.vpc(), "group")]
        # The frame first, under the tiers; a tier's ground is before what stands on it, and zones between the two.
        grounds = [part for part in self.parts[begin:] if 'class="tier"' in part]
        others = [part for part in self.parts[begin:] if 'class="tier"' not in part]
        to_balancer = arrow(
            (self.layout.gaps[1], self.meeting), (self.layout.gaps[1], self.balancer.y - 2), style="aside"
        )
        self.parts[begin:] = [*frame, *grounds, *self._zones(top), to_balancer, *others]
        self.bottom = vpc.bottom + 16

    def _zones(self, top: float) -> list[str]:
        """The frames of the zones, down to the lower edge so far."""
        return [
            part
            for zone, (x, width) in self.layout.columns.items()
            for part in (
                Box(x - 4, top + 46, width + 8, self.bottom + 4 - top - 46).rect("zone", radius=6),
                text(x + 8, top + 60, zone, "label"),
            )
        ]

    def _tier(self, name: str, height: float) -> None:
        """The ground of a tier from the lower edge so far."""
        ground = Box(VPC_X + 8, self.bottom, self.layout.width - 16, height)
        self.parts.append(ground.rect("tier", radius=6))
        self.parts.append(text(ZONES_X + 8, ground.y + 17, self.contents.tier(name), "label"))

    def _balance(self, y: float) -> None:
        self.balancer = Box(ZONES_X + GAP, y, self.layout.room - 2 * GAP, 40)
        self._card(self.balancer, self.contents.balancer())

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
        self._card(service, self.contents.tasks())
        gap = self.layout.gaps[0]
        self.parts.append(arrow((gap, self.balancer.bottom), (gap, service.y - 2)))
        self.parts.append(text(gap + 22, service.y - 12, self.contents.container_port(), "label"))
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

    def _beside_the_tasks(self, y: float) -> None:
        """The migration, the way to the database, the interface endpoints, and the way out of an existing VPC."""
        migration = Box(ZONES_X + 12, y, 200, 40)
        self._card(migration, self.contents.migration())
        self.parts.append(arrow((migration.right - 24, migration.bottom), (migration.right - 24, y + 74)))
        to_database = migration.right + 20
        self.parts.append(arrow((to_database, self.service.bottom), (to_database, y + 74)))
        self.parts.append(text(to_database + 8, y + 24, self.contents.database_port(), "label"))
        left = migration.right + 92
        self._endpoints(left, y, ZONES_X + self.layout.room - 12 - left)

    def _endpoints(self, left: float, y: float, width: float) -> None:
        """How the tasks get at AWS and the outside without a NAT gateway of the stack's; as much as there is room."""
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
        top = self.bottom
        self._tier("Isolated", 102)
        outline = Box(ZONES_X + GAP, top + 22, self.layout.room - 2 * GAP, 74)
        self.parts.append(outline.rect("cluster"))
        self.parts.append(text(outline.x + 16, outline.y + 18, self.contents.cluster(), "label"))
        for zone, title in self.contents.instances():
            x, each = self.layout.columns[zone]
            margin = 24 if each > 150 else 20
            short = title if fits(title, each - 2 * margin, TITLE) else "Reader"
            self._card(Box(x + margin, outline.y + 28, each - 2 * margin, 36), Card("database", short))
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
        top = self._section("Accounts on request, from Slack")
        left, width = VPC_X + 12, self.layout.width - 40
        boxes = self._cards(left, top, width, self.contents.request(), 22)
        for one, other in pairwise(boxes):
            self.parts.append(arrow((one.right, top + 31), (other.x - 2, top + 31)))
        slack = self.contents.slack().within(PEOPLE_WIDTH)
        self._card(Box(PEOPLE_X, top, PEOPLE_WIDTH, slack.height), slack)
        self.parts.append(arrow((PEOPLE_X + PEOPLE_WIDTH, top + 31), (boxes[0].x - 2, top + 31)))
        self.parts.append(text(182, top + 23, "HTTPS", "label"))
        self._asks_litellm(boxes[-1])
        self._end(self._cards(left, boxes[0].bottom + 16, width, self.contents.beside_requests(), 22)[0].bottom)

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
        datadog, functions = self.contents.datadog(), self.contents.usage_functions()
        cards = [self.contents.alarms(), *datadog, *functions]
        boxes = self._cards(VPC_X + 12, top, self.layout.width - 40, cards, 22)
        if functions:
            self._asks_litellm(boxes[-1])
        elif datadog:
            self._out(boxes[-1].right, boxes[-1].y + 42)
        self._end(boxes[0].bottom)

    def _services(self) -> None:
        cards = self.contents.services()
        for three in (cards[:3], cards[3:]):
            self.bottom = self._cards(VPC_X, self.bottom, self.layout.width, three)[0].bottom + 12
        self.bottom += 12

    def _outside(self) -> None:
        cards = [one.within(OUTSIDE_WIDTH) for one in self.contents.called()]
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
