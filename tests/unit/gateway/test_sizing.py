"""What a synthesis warns of by the model of `make size`: each contradiction, and no company's settings for nothing."""

from typing import Any

import pytest

from ops.size.people import company
from ops.size.sizes import size
from stacks import CHECKOUT
from stacks.company import load
from stacks.gateway import sizing
from stacks.gateway.sizing import doubts
from stacks.measured import AGENT, CHAT, PROGRAM
from stacks.settings import Database, Gateway, Ingress, Network
from tests.unit.settings.test_settings import NETWORK, environment

COMPANIES = sorted(path.parent.name for path in (CHECKOUT / "tests" / "companies").glob("*/environments.py"))
ONE_ADDRESS: dict[str, Any] = {"public": True, "cidrs": ("203.0.113.7/32",), "management_cidrs": ("203.0.113.7/32",)}

MEASURED: dict[str, Any] = {
    "CPU": {CHAT: 0.036, AGENT: 0.063, PROGRAM: 0.026},
    "RESIDENT_MIB": 1035,
}


@pytest.mark.parametrize("name", COMPANIES)
def test_no_example_is_warned(name: str) -> None:
    own = load(CHECKOUT / "tests" / "companies" / name)
    assert [list(doubts(one)) for one in own.all.values()] == [[]] * len(own.all)


@pytest.mark.parametrize("users", [1, 50, 500, 5000, 10_000])
def test_what_the_model_says_itself_is_not_warned_of(users: int) -> None:
    found = size(company(users))
    gateway = Gateway(min_tasks=found.tasks.fewest, max_tasks=found.tasks.most)
    database = Database(min_capacity=found.min_capacity, max_capacity=max(found.max_capacity, 64))
    assert list(doubts(environment(gateway=gateway, database=database))) == []


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        (
            {"gateway": Gateway(max_in_flight_requests=400, cpu=1024, memory=8192)},
            ["gateway.max_in_flight_requests is 400, and a worker's processor keeps up with 178, even of people's"],
        ),
        (
            {"gateway": Gateway(max_in_flight_requests=15)},
            ["gateway.max_in_flight_requests is 15, at 60 % of which a task is added, while the processor does 7 % at"],
        ),
        (
            {"gateway": Gateway(max_in_flight_requests=500, cpu=2048, memory=4096, max_tasks=1)},
            ["gateway.max_in_flight_requests is 500, which takes 4,385 MiB"],
        ),
        (
            {"gateway": Gateway(max_tasks=20), "database": Database(max_capacity=2)},
            ["gateway.max_tasks is 20, which together ask the database for 3.0 ACU, and database.max_capacity is 2"],
        ),
        (
            {"gateway": Gateway(max_tasks=4), "ingress": Ingress(**ONE_ADDRESS)},
            ["ingress.requests_per_address is 20,000 in five minutes, and ingress.cidrs has 1 of them, while 4"],
        ),
        (
            {
                "gateway": Gateway(max_tasks=8, workers=4, cpu=8192, memory=61440, max_in_flight_requests=300),
                "network": Network(**NETWORK, nat_gateways=1),
                "database": Database(max_capacity=64),
            },
            [],
        ),
    ],
)
def test_what_contradicts_itself_is_told_with_its_figures(
    changes: dict[str, Any], sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in MEASURED.items():  # another run of the bench gives other ones
        monkeypatch.setattr(sizing, name, value)
    found = list(doubts(environment(**changes)))
    assert len(found) == len(sentences), found
    for sentence, wanted in zip(found, sentences, strict=True):
        assert sentence.startswith(f"test: {wanted}")
        assert sentence.endswith("(make size, docs/performance.md)")


def test_more_in_hand_than_the_way_out_has_connections() -> None:
    gateway = Gateway(max_tasks=200, max_in_flight_requests=300, memory=8192)
    database = Database(max_capacity=256, min_capacity=1)
    (told,) = [each for each in doubts(environment(gateway=gateway, database=database)) if "connections" in each]
    assert told.startswith(
        "test: 200 tasks may have 60,000 requests in hand, and network.nat_gateways (1) takes 55,000"
    )
