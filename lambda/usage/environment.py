"""What the functions are given by their deployment: settings, places, and secrets read at run time."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.secrets import secret

__all__ = [
    "AnthropicBill",
    "AzureBill",
    "Bill",
    "GeminiBill",
    "GoogleBill",
    "OpenAiBill",
    "Places",
    "Plan",
    "Report",
    "bill",
    "places",
    "report",
    "secret",
]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`Plan` of stacks/settings, which explains and checks each; a test compares the two, and those below."""

    name: str
    monthly_price: float
    covers: tuple[str, ...]
    monthly_allowance: float | None
    seats: str | None
    through_gateway: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """`Report` of stacks/settings."""

    channel: str
    weekly: bool
    monthly: bool
    hour: int
    timezone: str
    top: int
    jump_factor: float
    jump_minimum: float
    seat_percent: float
    plans: tuple[Plan, ...]


@dataclass(frozen=True, kw_only=True)
class AzureBill:
    """`AzureBill` of stacks/settings."""

    tenant: str
    client: str
    subscription: str


@dataclass(frozen=True, kw_only=True)
class GoogleBill:
    """`GoogleBill` of stacks/settings."""

    table: str
    location: str


@dataclass(frozen=True, kw_only=True)
class GeminiBill(GoogleBill):
    """`GeminiBill` of stacks/settings."""

    project: str


@dataclass(frozen=True, kw_only=True)
class OpenAiBill:
    """`OpenAiBill` of stacks/settings."""

    projects: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AnthropicBill:
    """`AnthropicBill` of stacks/settings."""

    workspaces: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Bill:
    """`Bill` of stacks/settings."""

    tolerance_percent: float
    profile_tag: str | None
    azure: AzureBill | None
    google: GoogleBill | None
    gemini: GeminiBill | None
    openai: OpenAiBill | None
    anthropic: AnthropicBill | None


@dataclass(frozen=True, kw_only=True)
class Places:
    """What the deployment made, by variable of the function's environment."""

    environment: str  # ENVIRONMENT: its name
    litellm_url: str  # LITELLM_URL: the private way to LiteLLM
    gateway_url: str  # GATEWAY_URL: what people open


@cache
def report() -> Report | None:
    """The settings in the variable REPORT, a JSON object; None if the environment has none."""
    values = _settings("REPORT")
    return Report(**values | {"plans": tuple(_plan(plan) for plan in values["plans"])}) if values else None


@cache
def bill() -> Bill | None:
    """The settings in the variable BILL, a JSON object; None if the environment has none."""
    values = _settings("BILL")
    if not values:
        return None
    kinds = {
        "azure": AzureBill,
        "google": GoogleBill,
        "gemini": GeminiBill,
        "openai": OpenAiBill,
        "anthropic": AnthropicBill,
    }
    read = {name: values[name] and kind(**_with_tuples(values[name])) for name, kind in kinds.items()}
    return Bill(**values | read)


@cache
def places() -> Places:
    """The places in the function's environment."""
    return Places(**{name: os.environ[name.upper()] for name in Places.__dataclass_fields__})


def _settings(variable: str) -> dict[str, Any] | None:
    text = os.environ.get(variable, "")
    return json.loads(text) if text else None


def _plan(values: dict[str, Any]) -> Plan:
    return Plan(**_with_tuples(values))


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as what cannot be changed."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
