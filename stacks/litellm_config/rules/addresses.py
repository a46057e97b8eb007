"""Addresses that the task calls: its security group lets HTTPS out, and nothing else to providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from stacks.litellm_config.file import Place
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
    elif parts.scheme != "https" or port not in (None, 443):
        reading.refuse(
            place,
            f"{key} {of} is not HTTPS on port 443, and the task's security group lets nothing else out: serve it there",
            at=at,
        )
