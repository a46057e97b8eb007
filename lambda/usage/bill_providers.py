"""Whose models are on whose bill: the providers by their names in LiteLLM, and why a bill is compared with none."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("bill_providers.json")
"""What the table of providers (stacks/litellm_config/providers.py) says of bills: `make docs` writes it."""


@dataclass(frozen=True, slots=True)
class Billed:
    """A bill, or why there is none to compare with: `Bill` of stacks/litellm_config/provider.py explains it."""

    title: str
    setting: str = ""
    why_not: str = ""
    models: str = ""
    others: str = ""


_ROWS: Final[Mapping[str, Mapping[str, Any]]] = json.loads(FILE.read_text("utf-8"))
_BY_NAME: Final = {name: row for row, values in _ROWS.items() for name in values["names"]}
"""The row of each prefix."""

OWN: Final = "own"
TOOLS: Final = "tools"
ELSEWHERE: Final = "bedrock_elsewhere"
BILLED: Final[Mapping[str, Billed]] = {
    **{row: Billed(**values["bill"]) for row, values in _ROWS.items() if values["bill"]},
    ELSEWHERE: Billed(
        "AWS (Bedrock in other accounts)", why_not="it is on the bill of the account whose role calls it"
    ),
    OWN: Billed("Servers at their own address", why_not="nobody bills their tokens, or somebody who is not known here"),
    TOOLS: Billed(
        "Tools and pass-through endpoints", why_not="config.yaml says what they cost, and whoever runs them bills it"
    ),
}
"""By the name of a provider's row, or of what is on no provider's bill."""

_TOOL: Final = "MCP: "  # how LiteLLM's rows name a tool of an MCP server
_PASSED: Final = "unknown"  # and what went through a pass-through endpoint


def provider_of(
    deployment: str, hosts: Collection[str] = (), accounts: Collection[str] = (), *, account: str = ""
) -> str:
    """Return on which bill a deployment is, as in `BILLED`; otherwise LiteLLM's name for its provider.

    `hosts` are those that its entries name in `api_base`, `accounts` those whose role they are called with, and
    `account` the environment's own.
    """
    if deployment.startswith(_TOOL) or deployment == _PASSED:
        return TOOLS
    prefix, _, model = deployment.partition("/")
    row = _BY_NAME.get(prefix)
    if row is None:
        return prefix
    if row not in BILLED or not _is_at(hosts, _ROWS[row]["host"]):
        return OWN
    if row == "bedrock" and accounts and account not in accounts:
        return ELSEWHERE
    bill = BILLED[row]
    return row if bill.models in model.lower() else bill.others


def _is_at(hosts: Collection[str], host: str) -> bool:
    """Whether one of the hosts is the provider's, in whatever region; whatever else speaks its format is one's own."""
    domain = f".{host.partition('.')[2]}"
    return not host or not hosts or any(f".{each}".endswith(domain) for each in hosts)


def title_of(provider: str) -> str:
    """Return how messages name a provider."""
    return BILLED[provider].title if provider in BILLED else provider


def why_not_compared(provider: str) -> str:
    """Return in a sentence why there is no comparison with a provider's bill, of one whose bill was not read."""
    billed = BILLED.get(provider, Billed(provider, why_not="the gateway does not serve it any more"))
    return billed.why_not or f"set bill.{billed.setting} in company/environments.py"
