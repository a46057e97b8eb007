"""Addresses that the task calls: its security group lets HTTPS out, and what the settings name of servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from stacks.litellm_config.file import Place
from stacks.litellm_config.provider import HTTP, HTTPS, Address
from stacks.litellm_config.rules.reading import Reading


def check_address(
    reading: Reading, place: Place, parameters: Mapping[str, Any], key: str, *, at: Place | None = None
) -> None:
    """Refuse a parameter of an entry that is no address, or one that the task cannot reach.

    `at` is where the parameter stands below `place`: by default in `litellm_params`.
    """
    value = reading.value(parameters.get(key))
    if (
        value is None or "$" in value
    ):  # the variable's value is not known here, or it is no text: that is told elsewhere
        return
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    given, at = parameters[key], ("litellm_params", key) if at is None else at
    of = value if value == given else f"{given} ({value})"
    if not host or not parts.scheme:
        reading.refuse(place, f"{key} {of} is no address: write it as https://host/", at=at)
    elif _is_beside(host):
        reading.refuse(
            place,
            f"{key} {of} is a container beside LiteLLM, of which its task has none: write the name that the server has "
            "in the VPC",
            at=at,
        )
    elif parts.scheme not in ("http", "https"):
        reading.refuse(place, f"{key} {of} is no address of a provider: write it as https://host/", at=at)
    elif (parts.scheme, port) not in (("https", None), ("https", HTTPS)):
        _check_way(reading, place, f"{key} {of}", Address(host, port or HTTP), tls=parts.scheme == "https", at=at)


def _is_beside(host: str) -> bool:
    """Whether a host is the machine itself, or a name that only containers of one machine have for each other."""
    return "." not in host or host.startswith("127.") or host == "host.docker.internal"


def _check_way(reading: Reading, place: Place, what: str, address: Address, *, tls: bool, at: Place) -> None:
    """Refuse what the environment's servers do not have, and prompts without TLS that leave the company's network."""
    private = reading.servers.get(address)
    if private is None:
        reading.refuse(
            place,
            f"{what} is not HTTPS on port 443, and the task's security group lets nothing else out: serve it there, or "
            f"name host {address.host} and port {address.port} in providers.servers of company/environments.py",
            at=at,
        )
    elif not private and not tls:
        reading.refuse(
            place,
            f"{what} has no TLS, and the range of the server is public, so that prompts and the key would cross the "
            "internet in plain text: serve it by https://",
            at=at,
        )
