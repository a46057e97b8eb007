"""general_settings and litellm_settings: what the gateway gives itself, what takes a licence, what lets prompts out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stacks.litellm_config.file import Place
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.variables import MAX_IN_FLIGHT, REFERENCE

MAX_REQUEST_TIMEOUT: Final = 3600
"""Seconds: a target group waits no longer for the last answers of a task that goes (deregistration delay)."""
MAX_CONNECTIONS: Final = 500

_OWN: Final = {
    "database_url": "entrypoint.sh composes DATABASE_URL of the database that this gateway makes",
    "key_management_system": "secrets come from Parameter Store, by their names in this file",
    "key_management_settings": "secrets come from Parameter Store, by their names in this file",
    "use_google_kms": "secrets come from Parameter Store, by their names in this file",
    "use_azure_key_vault": "secrets come from Parameter Store, by their names in this file",
    "litellm_license": "the environment's settings have litellm_license, and LiteLLM reads the secret LITELLM_LICENSE",
}
"""Settings of `general_settings` for what this gateway brings itself."""

_LICENSED: Final = (
    *(("general_settings", "allowed_ips"), ("general_settings", "enforced_params")),
    ("litellm_settings", "tag_budget_config"),
)
"""What LiteLLM does not start with, unless it has a licence (`ProxyConfig.load_config`, `RouterBudgetLimiting`)."""

_IN_VAIN: Final = (
    *("admin_only_routes", "enable_jwt_auth", "max_request_size_mb", "max_response_size_mb", "public_routes"),
)
"""Those that are in force with a licence alone, and else do nothing, or fail whoever relies on them."""

_FATAL: Final = {
    "allowed_routes": "the gateway's own functions and people's pages ask other routes, which would get 403, and the "
    "web ACL says which are open to whom",
    "enable_oauth2_proxy_auth": "no key counts then, and a caller is whoever the headers name, which the load balancer "
    "passes on as they come",
}
"""Those with which the gateway would serve nobody, or anybody."""

_PRIVATE: Final = (
    (("general_settings", "store_prompts_in_spend_logs"), True, "prompts and answers are kept in the database"),
    (
        ("general_settings", "disable_error_logs"),
        False,
        "errors of providers, which can quote prompts, are kept in the database",
    ),
    (("litellm_settings", "turn_off_message_logging"), False, "prompts and answers are handed to every callback"),
    (("litellm_settings", "redact_messages_in_exceptions"), False, "errors quote the beginnings of prompts"),
    (("litellm_settings", "log_raw_request_response"), True, "prompts and answers are in the records of calls"),
    (("litellm_settings", "set_verbose"), True, "prompts and answers are written to the log"),
    (("router_settings", "set_verbose"), True, "prompts and answers are written to the log"),
    (("litellm_settings", "datadog_params", "turn_off_message_logging"), False, "prompts and answers go to Datadog"),
)
"""Switches of privacy, where they let texts out, and what becomes of them then."""


_OPEN: Final = (
    (("general_settings", "allow_client_side_credentials"), True, "a request may have the gateway call any address"),
    (("general_settings", "disable_reset_budget"), True, "a budget that is used up never begins anew"),
    (("general_settings", "disable_responses_id_security"), True, "any key reads what others' responses have kept"),
    (("general_settings", "disable_spend_updates"), True, "no use is counted, and no budget ends it"),
    (("litellm_settings", "ssl_verify"), False, "nobody looks whether who answers is the provider"),
    (
        ("litellm_settings", "user_url_validation"),
        False,
        "an address in a prompt is asked wherever it leads, also inside the VPC",
    ),
)
"""Other switches that take off what the gateway is relied on for, and what becomes of it then."""


def check(reading: Reading) -> tuple[int, int]:
    """Check both sections: the database's connections per worker, and the longest request in seconds; 0 if refused."""
    general = reading.section("general_settings")
    for key, why in (_OWN | _FATAL).items():
        if general.get(key):
            reading.refuse(("general_settings", key), f"remove it: {why}")
    if not reading.licensed:
        _check_licensed(reading, general)
    _check_master_key(reading, general.get("master_key"))
    for place, leaky, what in _PRIVATE:
        if _found(reading, place) is leaky:
            reading.warn(place, f"with {str(leaky).lower()}, {what}: write {str(not leaky).lower()} to keep them out")
    for place, without, what in _OPEN:
        if _found(reading, place) is without:
            reading.warn(place, f"with {str(without).lower()}, {what}: remove it")
    _check_teams(reading)
    _check_limit(reading, general)
    return (
        _number(reading, ("general_settings", "database_connection_pool_limit"), MAX_CONNECTIONS, 10),
        _number(reading, ("litellm_settings", "request_timeout"), MAX_REQUEST_TIMEOUT, 600),
    )


NEEDS_LICENCE: Final = "LiteLLM does not start with it unless it has a licence"
LICENCE: Final = "set litellm_license in the environment's settings"


def _check_licensed(reading: Reading, general: Mapping[str, Any]) -> None:
    """Refuse what fails without a licence, and warn of what is then not done."""
    for place in _LICENSED:
        if _found(reading, place) is not None:
            reading.refuse(place, f"{NEEDS_LICENCE}: remove it, or {LICENCE}")
    if reading.document.get("worker_registry"):
        reading.refuse(("worker_registry",), f"{NEEDS_LICENCE}: remove it, or {LICENCE}")
    if general.get("enable_oauth2_auth"):
        why = "LiteLLM refuses every key with it unless it has a licence"
        reading.refuse(("general_settings", "enable_oauth2_auth"), f"{why}: remove it, or {LICENCE}")
    for key in _IN_VAIN:
        if general.get(key):
            told = f"LiteLLM has it in force with a licence alone: remove it, or {LICENCE}"
            reading.warn(("general_settings", key), told)


def _check_master_key(reading: Reading, given: object) -> None:
    """Refuse another master key than the one that the functions of this gateway ask with."""
    own = f"{REFERENCE}LITELLM_MASTER_KEY"
    if isinstance(given, str) and given.startswith(REFERENCE) and given != own:
        reading.refuse(
            ("general_settings", "master_key"),
            f"write {own}: the gateway's own functions ask with that key, and LiteLLM would refuse it",
        )


def _check_limit(reading: Reading, general: Mapping[str, Any]) -> None:
    """Warn where a task takes more than it can do: it slows everyone down, and runs out of memory.

    Another number than the environment's would do, but the service is scaled by that one.
    """
    key, wanted = "max_in_flight_requests_per_worker", f"{REFERENCE}{MAX_IN_FLIGHT}"
    if (value := general.get(key)) != wanted:
        what = "it is missing, so that a task takes every request that comes" if value is None else f"it is {value!r}"
        reading.warn(
            ("general_settings", key),
            f"{what}: write {wanted} there, the number of gateway.max_in_flight_requests, by which tasks are added in "
            "time, and max_queued_requests_per_worker: 0 beside it",
        )


def _check_teams(reading: Reading) -> None:
    """LiteLLM does not start with a team of `default_team_settings` without its id (`TeamDefaultSettings`)."""
    place: Place = ("litellm_settings", "default_team_settings")
    teams = reading.section("litellm_settings").get("default_team_settings")
    if teams is None:
        return
    if not isinstance(teams, list):
        reading.refuse(place, "it must be a list of teams, as in [{team_id: …}]")
        return
    for index, team in enumerate(teams):
        if not isinstance(team, dict) or not isinstance(team.get("team_id"), str):
            reading.refuse((*place, index), "it has no team_id: add it, as text")


def _found(reading: Reading, place: tuple[str, ...]) -> object:
    value: object = reading.section(place[0])
    for key in place[1:]:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _number(reading: Reading, place: tuple[str, str], most: int, usual: int) -> int:
    value = reading.section(place[0]).get(place[1])
    if type(value) is int and 1 <= value <= most:
        return value
    given = f"it must be a whole number from 1 to {most}, not {value!r}"
    missing = f"it is not set: add it, a whole number from 1 to {most}, as in {usual}"
    reading.refuse(place, missing if value is None else given)
    return 0
