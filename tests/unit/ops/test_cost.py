"""What an environment costs: each of its resources has a price, costs by use, is free, or is named as without one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ops.access import OpsError
from ops.cost import __main__ as command
from ops.cost import guidance, parts, prices
from ops.cost.load import of_requests
from ops.cost.prices import USAGES, known_regions, prices_of
from ops.cost.refresh import refresh
from ops.cost.rest import told
from ops.cost.sleep import AFTERWARDS, WEEK_HOURS, awake
from ops.cost.table import rows, whole
from ops.init.questions.environment import CACHE, SLEEP
from ops.templates import Facts, synthesize
from stacks.company import company
from stacks.settings import Cache, Gateway
from stacks.settings.gateway import LEAST_CAPACITY

ENVIRONMENTS = tuple(company().environments)
TOKYO = prices_of("ap-northeast-1")


@pytest.fixture
def prod() -> Facts:
    return Facts(deepcopy(dict(synthesize("prod"))))


def quantity(lines: list[parts.Line], what: str) -> float:
    (found,) = [line.quantity for line in lines if line.what == what]
    return found


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_nothing_is_without_a_price_or_a_reason(name: str) -> None:
    assert parts.without_price(Facts(synthesize(name))) == []


@pytest.mark.parametrize(("region", "place"), [("us-east-1", 0), ("ap-northeast-1", 1)])
def test_init_tells_what_a_cache_and_sleep_cost(region: str, place: int) -> None:
    """In the help of its questions, which cannot look it up: that would load the CDK."""
    known, gateway, hours = prices_of(region), Gateway(), prices.HOURS
    node = known.of(f"Cache node, {Cache().node}", hours)
    running = (
        known.of("Fargate ARM, vCPU", hours * gateway.cpu / 1024)
        + known.of("Fargate ARM, GB", hours * gateway.memory / 1024)
        + known.of("Aurora Serverless v2, ACU", hours * LEAST_CAPACITY)
    )
    asleep = 1 - 5 * (10 + AFTERWARDS) / WEEK_HOURS
    for question, cost in ((CACHE, node), (SLEEP[0], running * asleep)):
        told = re.search(r"(\d+) USD a month(?: less)? in us-east-1, (\d+) in ap-northeast-1", question.help)
        assert told and int(told.groups()[place]) == whole(cost)


def test_a_type_that_is_not_known_is_named(prod: Facts) -> None:
    prod.templates["Gateway"]["Resources"]["New"] = {"Type": "AWS::Neptune::DBCluster"}
    assert parts.without_price(prod) == ["AWS::Neptune::DBCluster"]


def test_every_line_has_a_price_in_every_region(prod: Facts) -> None:
    every = [*parts.at_rest(prod, every=True), *parts.under(prod, of_requests(1e9, 100))]
    assert {line.usage for line in every} | {"Logs"} == set(USAGES)
    for region in known_regions():
        assert parts.dollars(every, prices_of(region)) > 0


def test_what_is_counted_is_what_the_templates_have(prod: Facts) -> None:
    lines = parts.at_rest(prod)
    assert quantity(lines, "NAT gateways") == 3 * 730
    assert quantity(lines, "Public IPv4 addresses") == (3 + 3) * 730  # the gateways', and the load balancer's
    assert quantity(lines, "Interface endpoints, each per zone") == 4 * 3 * 730
    assert quantity(lines, "Fargate on ARM, vCPU") == 3 * 730
    assert quantity(lines, "Aurora Serverless v2, ACU") == 2 * 730  # the writer's and the reader's
    assert quantity(lines, "CloudWatch metrics of our own") == 8 + 25  # log lines', and a cluster with one service


def test_an_internal_load_balancer_has_no_public_address(prod: Facts) -> None:
    prod.only("AWS::ElasticLoadBalancingV2::LoadBalancer")["Scheme"] = "internal"
    assert quantity(parts.at_rest(prod), "Public IPv4 addresses") == 3 * 730


def test_a_vpc_that_was_there_has_no_nat_gateway_of_ours(prod: Facts) -> None:
    for template in prod.templates.values():
        for name in [
            n for n, r in template["Resources"].items() if r["Type"] in ("AWS::EC2::NatGateway", "AWS::EC2::EIP")
        ]:
            del template["Resources"][name]
    lines = [*parts.at_rest(prod), *parts.under(prod, of_requests(1e6, 100))]
    assert not [line for line in lines if "NAT" in line.what]
    assert quantity(lines, "Public IPv4 addresses") == 3 * 730  # the load balancer's


def test_spot_tasks_cost_a_third(prod: Facts) -> None:
    before = quantity(parts.at_rest(prod), "Fargate on ARM, vCPU")
    prod.only("AWS::ECS::Service")["CapacityProviderStrategy"][0]["CapacityProvider"] = "FARGATE_SPOT"
    assert quantity(parts.at_rest(prod), "Fargate on ARM, vCPU") == pytest.approx(before * prices.SPOT)


def test_what_sleeps_is_paid_while_it_is_awake() -> None:
    """Fifty hours a week, ten minutes before each day's, and a quarter of an hour after them."""
    dev = Facts(deepcopy(dict(synthesize("dev"))))
    share = (50 + 5 * (10 + 15) / 60) / 168
    assert awake(dev) == pytest.approx(share)
    lines = parts.at_rest(dev)
    assert quantity(lines, "Fargate on ARM, vCPU") == pytest.approx(share * 0.3 * 730)  # on Spot
    assert quantity(lines, "Aurora Serverless v2, ACU") == pytest.approx(share * 0.5 * 730)
    assert [awake(Facts(synthesize(name))) for name in ("stg", "prod", "local")] == [1, 1, 1]


def test_a_machine_in_the_place_of_a_nat_gateway_has_an_address_and_a_disk() -> None:
    lines = parts.at_rest(Facts(synthesize("dev")))
    assert not [line for line in lines if line.what == "NAT gateways"]
    assert (quantity(lines, "NAT instance"), quantity(lines, "Its disk")) == (730, 8)
    assert quantity(lines, "Public IPv4 addresses") == (1 + 2) * 730


def test_an_example_that_sleeps_costs_less_than_a_hundred_dollars() -> None:
    assert parts.dollars(parts.at_rest(Facts(synthesize("dev"))), TOKYO) < 100


def test_a_schedule_that_is_written_in_another_way_is_not_guessed() -> None:
    dev = Facts(deepcopy(dict(synthesize("dev"))))
    schedule = next(one for name, one in dev.resources("AWS::Scheduler::Schedule").items() if "SleepAsleep" in name)
    schedule["ScheduleExpression"] = "rate(1 day)"
    with pytest.raises(LookupError, match=r"rate\(1 day\) is no schedule of sleep that is known"):
        awake(dev)


def test_use_costs_what_it_moves(prod: Facts) -> None:
    lines = parts.under(prod, of_requests(2e6, 500))
    assert quantity(lines, "Data through NAT gateways") == 1000
    assert quantity(lines, "Requests through the web ACL") == 2
    assert not [line for line in lines if "More tasks" in line.what]  # three are enough for that
    assert [line for line in parts.under(prod, of_requests(5e7, 500)) if "More tasks" in line.what]
    assert parts.under(prod, of_requests(0, 500)) == []


def test_each_copy_in_a_second_region_is_a_whole_one(prod: Facts) -> None:
    """Once a day, and four times a day in an example that copies every six hours."""
    load = of_requests(5e6, 100)

    def moved(facts: Facts) -> list[float]:
        return [line.quantity for line in parts.under(facts, load) if line.usage == "Data to another region"]

    assert moved(prod) == [10 * 30]
    resources = prod.templates["Database"]["Resources"]
    (name,) = (name for name, each in resources.items() if each["Type"] == "AWS::Backup::BackupPlan")
    (rule,) = resources[name]["Properties"]["BackupPlan"]["BackupPlanRule"]
    rule["ScheduleExpression"] = "cron(40 0,6,12,18 * * ? *)"
    assert moved(prod) == [4 * 10 * 30]
    keys = [line.quantity for line in parts.at_rest(prod) if line.usage == "KMS key"]
    del resources[name]
    assert moved(prod) == []
    assert keys == [1 + line.quantity for line in parts.at_rest(prod) if line.usage == "KMS key"]


def test_what_buys_independence_is_part_of_the_sum(prod: Facts) -> None:
    """Without all of it an environment costs what is left: nothing is counted twice, or never."""
    spare = [line for line, _ in parts.independence(prod)]
    rest = parts.dollars(parts.at_rest(prod), TOKYO)
    assert 0 < parts.dollars(spare, TOKYO) < rest
    assert parts.independence(Facts(synthesize("dev"))) == []


def test_without_what_buys_independence_prod_is_below_the_guidance(prod: Facts) -> None:
    *each, total = guidance.compared(prod)
    assert round(total.published, 2) == 378.10
    assert total.without_independence < total.published
    above = {one.part for one in each if one.without_independence > one.published}
    assert above == {parts.NETWORK, parts.EDGE, parts.WATCHING}  # docs/environments.md says by what
    assert total.ours == pytest.approx(sum(one.ours for one in each))


def test_a_line_for_each_environment_says_what_has_changed() -> None:
    before = {"dev": 205.2, "stg": 247.0, "gone": 10.0}
    assert list(told({"dev": 88.4, "stg": 247.3, "prod": 678.0, "far": None}, before)) == [
        "  dev      88 USD, 117 less than before",
        "  stg     247 USD, as before",
        "  prod    678 USD, new",
        "  far   its region's prices are not known here: make cost ENV=far says how they come",
        "  gone is no longer there",
    ]
    assert list(told({"dev": 1088.4})) == ["  dev  1,088 USD"]


def test_the_command_has_a_line_for_each_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--all", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {
        name: pytest.approx(parts.dollars(parts.at_rest(Facts(synthesize(name))), TOKYO)) for name in ENVIRONMENTS
    }


def test_the_table_has_a_column_for_each_environment() -> None:
    found = rows([Facts(synthesize(name)) for name in ENVIRONMENTS], TOKYO)
    assert {len(row) for row in found} == {2 + len(ENVIRONMENTS)}
    for column in range(2, 2 + len(ENVIRONMENTS)):
        assert int(found[-1][column]) == pytest.approx(sum(int(row[column]) for row in found[:-1]), abs=len(found) / 2)


# --- The command ------------------------------------------------------------------------------------------------------


def test_it_prints_the_parts_and_what_they_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--env", "prod", "--guidance"]) == 0
    printed = capsys.readouterr().out
    assert "prod, ap-northeast-1: 696 USD a month at rest" in printed
    assert "without: database.reader=False" in printed
    assert printed.splitlines()[-1].split()[:2] == ["Sum", "378.10"]


def test_it_prints_the_same_for_another_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--env", "dev", "--json", "--requests", "2e6"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["load"] == "2,000,000 requests of 100 KB a month"
    assert told["without_price"] == []
    assert sum(line["usd"] for line in told["at_rest"]) == pytest.approx(
        parts.dollars(parts.at_rest(Facts(synthesize("dev"))), TOKYO)
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--env", "prod", "--region", "eu-west-3"], "has no prices of eu-west-3, only of ap-northeast-1, us-east-1"),
        (["--env", "prod", "--requests", "-1"], "give 0 or more"),
        (["--env", "production"], "there is no environment production"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 2
    assert told in capsys.readouterr().err


# --- AWS's price list -------------------------------------------------------------------------------------------------


class PriceList:
    """Answers as the Query API does: products as JSON in text, with tiers, of which the first may be free."""

    def __init__(self, products: list[dict[str, Any]]) -> None:
        self.products = products

    def get_paginator(self, operation_name: str) -> PriceList:
        assert operation_name == "get_products"
        return self

    def paginate(self, *, ServiceCode: str, Filters: list[Mapping[str, str]]) -> Iterator[dict[str, Any]]:  # noqa: N803
        (where,) = Filters
        assert (where["Type"], where["Field"]) == ("TERM_MATCH", "regionCode")
        for each in self.products:
            if each["product"]["attributes"]["servicecode"] == ServiceCode:
                yield {"PriceList": [json.dumps(each)]}


def product(name: str, *tiers: float) -> dict[str, Any]:
    usage = USAGES[name]
    attributes = {"servicecode": usage.service, "usagetype": f"EUC1-{usage.usage_type}", "engine": usage.operation}
    dimensions = {
        str(at): {"beginRange": str(at * 100), "pricePerUnit": {"USD": f"{price:.10f}"}}
        for at, price in enumerate(tiers)
    }
    return {"product": {"attributes": attributes}, "terms": {"OnDemand": {"T": {"priceDimensions": dimensions}}}}


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the table, which the test may write."""
    file = tmp_path / "prices.json"
    file.write_text(prices.FILE.read_text("utf-8"), "utf-8")
    for module in ("ops.cost.prices.FILE", "ops.cost.refresh.FILE"):
        monkeypatch.setattr(module, file)
    return file


def listed() -> list[dict[str, Any]]:
    return [product(name, 0, 0.5, 0.4) for name, usage in USAGES.items() if usage.everywhere is None]


def test_another_regions_prices_are_taken_from_awss_list(table: Path) -> None:
    told = refresh("eu-central-1", PriceList(listed()))
    assert "NAT gateway: not known is now 0.5 USD" in told
    found = prices_of("eu-central-1")
    assert (found.dollars["NAT gateway"], found.dollars["Web ACL"]) == (0.5, 5)
    assert found.source == "AWS's price list (pricing:GetProducts)"
    assert refresh("eu-central-1", PriceList(listed())) == []


@pytest.mark.parametrize("charge", ["SyncDurability-", "ExtendedSupportYr3-"])
def test_another_charge_for_the_same_node_is_not_its_price(table: Path, charge: str) -> None:
    other = product("Cache node, cache.t4g.micro", 0.9)
    attributes = other["product"]["attributes"]
    attributes["usagetype"] = attributes["usagetype"].replace("EUC1-", f"EUC1-{charge}")
    refresh("eu-central-1", PriceList([*listed(), other]))
    assert prices_of("eu-central-1").dollars["Cache node, cache.t4g.micro"] == 0.5


def test_the_way_to_another_region_has_the_dearest_price(table: Path) -> None:
    """By the regions that it leads to, of which prod's is one, and not that to the internet, which ends likewise."""
    others = [product("Data to another region", price) for price in (0.02, 0.09)]
    for each, code in zip(others, ("EUW1", "APN1"), strict=True):
        each["product"]["attributes"]["usagetype"] = f"EUC1-{code}-AWS-Out-Bytes"
    rest = [each for each in listed() if "AWS-Out" not in each["product"]["attributes"]["usagetype"]]
    refresh("eu-central-1", PriceList([*rest, *others]))
    assert prices_of("eu-central-1").dollars["Data to another region"] == 0.09


@pytest.mark.parametrize(
    ("products", "told"),
    [
        (listed()[1:], "has no price of NAT gateway in eu-central-1"),
        ([*listed(), product("NAT gateway", 0.9)], r"has 2 prices \(0\.5, 0\.9\) of NAT gateway"),
    ],
)
def test_a_list_without_one_price_changes_nothing(table: Path, products: list[dict[str, Any]], told: str) -> None:
    before = table.read_text("utf-8")
    with pytest.raises(OpsError, match=told):
        refresh("eu-central-1", PriceList(products))
    assert table.read_text("utf-8") == before


def test_a_table_that_is_none_is_told(table: Path) -> None:
    table.write_text("{", "utf-8")
    with pytest.raises(OpsError, match=r"prices\.json cannot be read \(JSONDecodeError\)"):
        prices_of("ap-northeast-1")
