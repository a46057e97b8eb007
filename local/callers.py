"""Who calls a load balancer on this machine: the loopback address that a call comes from stands for a network.

`curl --interface 127.0.0.2 …` calls as somebody in the office. All of 127.0.0.0/8 is this machine on Linux; on macOS
`sudo ifconfig lo0 alias 127.0.0.2` makes one more address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Final

OPERATOR: Final = "127.0.0.1"
OFFICE: Final = "127.0.0.2"
STRANGER: Final = "127.0.0.3"
# Addresses for documentation (RFC 5737) and, where a company lets all of them in, for measurements (RFC 2544).
_ELSEWHERE: Final = ("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1")


def callers(cidrs: Iterable[str], management: Iterable[str]) -> dict[str, str]:
    """The address that each of the three calls from.

    Parameters
    ----------
    cidrs, management
        The ranges that may reach the load balancer, and those of them from which everything answers. Where they are
        the same the office is an operator's too.
    """
    let_in, operators = [*map(IPv4Network, cidrs)], [*map(IPv4Network, management)]
    office = next(iter(_without(let_in, operators)), operators[0])
    elsewhere = next(one for one in _ELSEWHERE if not within(one, map(str, let_in)))
    return {OPERATOR: str(_first(operators[0])), OFFICE: str(_first(office)), STRANGER: elsewhere}


def network_of(address: str, known: Mapping[str, str]) -> str:
    """What a loopback address stands for; one that is not known is a stranger's."""
    return known.get(address, known.get(STRANGER, address))


def within(address: str, ranges: Iterable[str]) -> bool:
    """Whether an address is in one of these ranges."""
    return any(ip_address(address) in ip_network(each) for each in ranges)


def _without(ranges: Iterable[IPv4Network], taken: Iterable[IPv4Network]) -> list[IPv4Network]:
    left = [*ranges]
    for gone in taken:
        left = [part for each in left for part in (each.address_exclude(gone) if gone.subnet_of(each) else [each])]
    return sorted(left)


def _first(network: IPv4Network) -> IPv4Address:
    """The first address of a range that can be a host's."""
    return next(iter(network.hosts()))
