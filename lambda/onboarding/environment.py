"""What the functions are given by their deployment: settings, places, and secrets read at run time."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.secrets import secret

__all__ = ["Places", "Settings", "places", "secret", "settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`Onboarding` of stacks/settings, which explains and checks each; a test compares the two."""

    command: str
    workspace: str
    audit_channel: str
    approver_group: str | None
    mail_domains: tuple[str, ...]
    teams: tuple[str, ...]
    max_budget: float
    budget_ceiling: float
    budget_duration: str
    models: tuple[str, ...]
    tpm_limit: int | None
    rpm_limit: int | None
    protected: tuple[str, ...]
    dry_run: bool
    close_limit: int


@dataclass(frozen=True, kw_only=True)
class Places:
    """What the deployment made, by variable of the function's environment; "" where a function has no use for it."""

    queue_url: str  # QUEUE_URL: of the requests, FIFO
    table_name: str  # TABLE_NAME: what has been done, by request
    litellm_url: str  # LITELLM_URL: the private way to LiteLLM
    gateway_url: str  # GATEWAY_URL: what people open
    mail_sender: str  # MAIL_SENDER
    mail_reply_to: str  # MAIL_REPLY_TO: "" for none
    mail_configuration_set: str  # MAIL_CONFIGURATION_SET


@cache
def settings() -> Settings:
    """The settings in the variable ONBOARDING, a JSON object."""
    values: dict[str, Any] = json.loads(os.environ["ONBOARDING"])
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    return Settings(**values | lists)


@cache
def places() -> Places:
    """The places in the function's environment."""
    return Places(**{name: os.environ.get(name.upper(), "") for name in Places.__dataclass_fields__})
