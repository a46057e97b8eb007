"""The loopback addresses of this machine that stand for networks."""

import pytest

from local.callers import OFFICE, OPERATOR, STRANGER, callers, network_of


@pytest.mark.parametrize(
    ("cidrs", "management", "expected"),
    [
        (["203.0.113.0/24"], ["203.0.113.1/32"], ("203.0.113.1", "203.0.113.0", "192.0.2.1")),
        (["203.0.113.0/24"], ["203.0.113.0/25"], ("203.0.113.1", "203.0.113.129", "192.0.2.1")),
        (["10.0.0.0/8", "192.0.2.0/24"], ["10.0.0.0/8"], ("10.0.0.1", "192.0.2.1", "198.51.100.1")),
        (["10.0.0.0/8"], ["10.0.0.0/8"], ("10.0.0.1", "10.0.0.1", "192.0.2.1")),
        (
            ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"],
            ["192.0.2.8/32"],
            ("192.0.2.8", "192.0.2.1", "198.18.0.1"),
        ),
    ],
)
def test_each_calls_from_where_the_ranges_say(
    cidrs: list[str], management: list[str], expected: tuple[str, str, str]
) -> None:
    assert tuple(callers(cidrs, management)[who] for who in (OPERATOR, OFFICE, STRANGER)) == expected


def test_who_is_not_known_is_a_stranger() -> None:
    known = callers(["10.0.0.0/8"], ["10.0.0.0/8"])
    assert network_of("127.0.0.77", known) == known[STRANGER]
    assert network_of("127.0.0.77", {}) == "127.0.0.77"
