"""What this gateway relies on and the file does not say: added, with the reason that `make init` writes beside it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import yaml

from ops.importing.bringing import Bringing
from ops.init.config_file import SETTINGS
from stacks.litellm_config import COMING, PRICES_FROM, LiteLlmConfig
from stacks.litellm_config.prices import CALLBACK as DATED
from stacks.litellm_config.rules.budgets import CALLBACK as REFUSALS
from stacks.litellm_config.rules.conversations import CALLBACK as KEPT
from stacks.litellm_config.rules.conversations import CHECKS
from stacks.litellm_config.rules.errors import CALLBACK as TOLD
from stacks.litellm_config.rules.faults import CALLBACK as ATTRIBUTED

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "litellm_settings": (
        "turn_off_message_logging",
        "redact_messages_in_exceptions",
        "global_disable_no_log_param",
        "json_logs",
        "request_timeout",
        "budget_exceeded_status_code",
        "expose_router_debug_in_errors",
    ),
    "general_settings": (
        "master_key",
        "database_connection_pool_limit",
        "max_in_flight_requests_per_worker",
        "max_queued_requests_per_worker",
        "disable_budget_reservation",
        "apply_user_budget_to_team_keys",
        "database_disable_prepared_statements",
        "store_prompts_in_spend_logs",
        "disable_error_logs",
        "use_x_forwarded_for",
        "trusted_proxy_ranges",
        "hide_default_credentials_hint",
    ),
}
"""Of what `make init` writes, that without which the gateway is not what its pages say. What would change how people's
requests are answered (drop_params, a budget for new users, a retry, …) is theirs to decide."""

_BY_THEMSELVES: Final = {
    "master_key": "the gateway's own functions ask with it",
    "max_queued_requests_per_worker": "None waits for a place: an answer takes longer than a caller has patience",
}
_STORED: Final = "STORE_MODEL_IN_DB"


def add_needed(bringing: Bringing) -> None:
    """Add what is missing; what the file says otherwise stays."""
    for section, keys in NEEDED.items():
        for key in keys:
            if bringing.tree.get((section, key)) is None:
                bringing.change((section, key), value_of(section, key), reason_of(section, key), _shown(section, key))
    if str(bringing.variables.value(_STORED)).lower() == "true" and not bringing.tree.has(
        ("general_settings", "store_model_in_db")
    ):
        bringing.change(("general_settings", "store_model_in_db"), True, f"{_STORED} was set", "true")
    cooldowns = ("router_settings", "disable_cooldowns")
    if bringing.tree.get(cooldowns) is None:
        why = f"one caller's mistake would leave a model out for everybody; {ATTRIBUTED} goes by whose fault it is"
        bringing.change(cooldowns, True, why, "true")
    _callbacks(bringing)


def _callbacks(bringing: Bringing) -> None:
    place = ("litellm_settings", "callbacks")
    checks = bringing.tree.get(("router_settings", "optional_pre_call_checks"))
    kept = isinstance(checks, list) and CHECKS.intersection(map(str, checks))
    names = Counter(str(entry.get("model_name")) for _, entry in bringing.entries())
    if max(names.values(), default=0) > 1 and not kept:
        why = (
            "it keeps the turns of a conversation with one deployment of a model, whose prompt cache has its beginning"
        )
        bringing.complete(place, KEPT, why)
    bringing.complete(place, REFUSALS, "it says to people what to do when a budget is used up")
    bringing.complete(
        place, ATTRIBUTED, "it leaves out a deployment for what its provider says, and not for a caller's mistake"
    )
    bringing.complete(place, TOLD, "it tells a failed call in a sentence, without a stack trace or a variable's name")


def add_coming_prices(bringing: Bringing, config: LiteLlmConfig) -> bool:
    """Add the prices with a day that synthesis asks for; whether there were any."""
    added = False
    for index, model in enumerate(config.models):
        changes = COMING.get(model.listed_as() or "", {})
        coming = any(not prices.items() <= model.listed_prices().items() for prices in changes.values())
        if not coming or model.own_prices() or PRICES_FROM in model.info:
            continue
        place = (*bringing.tree.place(("model_list", index)), "model_info", PRICES_FROM)
        why = "its provider has announced prices that LiteLLM's list does not know (docs/costs.md)"
        bringing.change(place, {day: dict(prices) for day, prices in changes.items()}, why)
        added = True
    if added:
        why = f"it charges {PRICES_FROM} of an entry from its days on"
        bringing.complete(("litellm_settings", "callbacks"), DATED, why)
    return added


def value_of(section: str, key: str) -> Any:  # noqa: ANN401 - anything that YAML has
    """What `make init` writes for a setting."""
    return _values()[section][key]


@cache
def _values() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(_text())
    return found


@cache
def reason_of(section: str, key: str) -> str:
    """Why it is set, as `make init` has it beside it."""
    if key in _BY_THEMSELVES:
        return _BY_THEMSELVES[key]
    lines = _text().split(f"{section}:\n")[1].splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(f"  {key}:"))
    before = at
    while before and lines[before - 1].startswith("  #"):
        before -= 1
    if before == at:  # one comment for two settings, one below the other
        return reason_of(section, lines[at - 1].strip().partition(":")[0])
    return " ".join(line.strip("# ") for line in lines[before:at]).rstrip(".")


def _shown(section: str, key: str) -> str:
    return re.sub(r"\n\.{3}\n?$|\n$", "", yaml.safe_dump(value_of(section, key)))


def _text() -> str:
    """Without what follows from the answers."""
    return SETTINGS.format_map(defaultdict(str, budget="100"))
