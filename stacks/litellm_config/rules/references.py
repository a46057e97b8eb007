"""References to variables, and secrets in plain text, wherever in the file they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from stacks.litellm_config.file import Place
from stacks.litellm_config.made import GUARDRAIL_ID, setting_of
from stacks.litellm_config.providers import PROVIDER_SETTINGS
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.variables import (
    ADMIN_KEYS,
    AWS_VARIABLES,
    CORE_SECRETS,
    OVERWRITTEN,
    REFERENCE,
    SECRET_SUFFIXES,
    SECRET_VALUE,
    TASK_VARIABLES,
    Needs,
    is_for_all_of_aws,
)

_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_SHELL: Final = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*(:?[-=?+][^}]*)?\}?")
_SECRET_SETTING: Final = re.compile(
    r"((^|[_-])(token|password|passphrase|secret|credentials|license|webhook_url|access_key_id|auth_value|authorization)"
    r"|[_-]key|apikey)$",
    re.IGNORECASE,
)
_NO_SECRETS: Final = frozenset({"prompt_cache_key"})
"""Settings whose names end like a secret's."""

_IN_HEADERS: Final = re.compile(rf"(?P<before>(?i:bearer|basic|token) ){REFERENCE}(?P<name>\w+)")
"""As LiteLLM takes a value of `headers` of pass_through_endpoints (`set_env_variables_in_header`)."""


def secrets_and_variables(
    reading: Reading, needs: Mapping[tuple[Place, str], Needs]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the secrets and of the plain variables, referred to or implied by `needs`, which are by place."""
    secrets, variables = set(CORE_SECRETS), set[str]()
    for place, key, value in _scalars(reading.document):
        if reading.findings.is_refused(place) or (name := _reference(reading, place, key, value)) is None:
            continue
        is_secret = name in CORE_SECRETS or name.endswith(SECRET_SUFFIXES)
        (secrets if is_secret else variables).add(name)
        if not is_secret and name not in TASK_VARIABLES and not _is_given(reading, name):
            reading.refuse(place, f"nothing provides {name}: {_provision(name, key)}")
    for (place, of), need in needs.items():
        if missing := [name for name in need.variables if name not in reading.provided]:
            reading.refuse(place, f"nothing provides {', '.join(missing)}: {_provision(missing[0], '')}", of=of)
        secrets.update(need.secrets)
        variables.update(need.variables)
    return tuple(sorted(secrets)), tuple(sorted(variables - secrets - TASK_VARIABLES))


def unused(reading: Reading, variables: Iterable[str]) -> None:
    """Warn of what the deployment makes and the file does not use: a guardrail that nothing refers to masks nothing."""
    left = reading.made.variables - set(variables)
    if GUARDRAIL_ID in left:
        reading.warn(
            (),
            "bedrock.personal_data makes a guardrail, and no guardrail of this file refers to it, so nothing is "
            f"masked: add one with guardrailIdentifier: {REFERENCE}{GUARDRAIL_ID} (docs/config.md)",
        )
    for variable in sorted(left & reading.made.profiles.keys()):
        reading.warn(
            (),
            f"bedrock.inference_profiles makes a profile of {reading.made.profiles[variable]}, and no model is called "
            f"by it: give one model_id: {REFERENCE}{variable}",
        )


def _reference(reading: Reading, place: Place, key: str, value: object) -> str | None:
    """The NAME if the value is os.environ/NAME; refuses a value that would not be replaced, or is a secret."""
    if not isinstance(value, str):
        return None
    if "pass_through_endpoints" in place and "headers" in place and (found := _IN_HEADERS.fullmatch(value)):
        value = f"{REFERENCE}{found['name']}"
    if value.startswith(REFERENCE):
        name = value.removeprefix(REFERENCE)
        if problem := _no_name(name):
            reading.refuse(place, problem)
        else:
            return name
    elif REFERENCE in value:
        reading.refuse(
            place,
            "LiteLLM replaces os.environ/NAME only where it is the whole value: put all of it into one variable",
        )
    elif _SHELL.fullmatch(value) and not _is_of_mcp_server(reading, place, value):
        reading.refuse(place, f"nothing replaces {value} here: write the value itself, or os.environ/NAME")
    elif is_secret(key, value):
        reading.refuse(place, "a secret in plain text: write os.environ/NAME and put the value into the secret NAME")
    return None


def _no_name(name: str) -> str | None:
    """Why nothing may be referred to by this name; None if it may."""
    if not _VARIABLE.fullmatch(name):
        return f"{name!r} is no variable's name: use capitals, digits and underscores"
    if name in OVERWRITTEN:
        return f"LiteLLM sets {name} itself and would drop this entry: write the value here"
    if is_for_all_of_aws(name):
        own = f"{REFERENCE}OTHER_{name.removeprefix(AWS_VARIABLES).removesuffix('_ID')}"
        return (
            f"{name} is read for every call of AWS, by its SDK or by LiteLLM, so that none would be the task's role's "
            f"own: remove it, or name a variable of your own, as in {own}"
        )
    if name in ADMIN_KEYS:
        return (
            f"{name} is an administrator's key, which calls no models and is for the comparison with the bill alone: "
            f"use one of a project or a workspace, such as {name.replace('ADMIN', 'API')}"
        )
    return None


def _is_of_mcp_server(reading: Reading, place: Place, value: str) -> bool:
    """Whether LiteLLM puts one of an MCP server's `env_vars` into this header of its `static_headers`."""
    if place[0] != "mcp_servers" or place[2:3] != ("static_headers",):
        return False
    given = reading.section("mcp_servers")[str(place[1])].get("env_vars")
    return any(value == f"${{{each.get('name')}}}" for each in given or () if isinstance(each, dict))


def is_secret(key: str, value: str) -> bool:
    """Whether a text under a key is one that must not be in the file."""
    return bool(SECRET_VALUE.search(value)) or bool(
        _SECRET_SETTING.search(key) and key not in _NO_SECRETS and value and not _is_number(value)
    )


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _is_given(reading: Reading, name: str) -> bool:
    return name in reading.provided or name in reading.made.variables


def _provision(name: str, key: str) -> str:
    """Where the value of a plain variable is to be written, or what else the name may be meant for."""
    if made := setting_of(name):
        return f"the deployment makes it where {made} of the environment in company/environments.py says so"
    if setting := PROVIDER_SETTINGS.get(name):
        return f"set providers.{setting} of the environment in company/environments.py"
    endings = ", ".join(SECRET_SUFFIXES)
    if _SECRET_SETTING.search(key):
        return f"{key} is a secret, which is taken from Parameter Store if its name ends in one of {endings}"
    return (
        "name it in variables of the environment in company/environments.py, or, if it is a secret, end its name in "
        f"one of {endings}"
    )


def _scalars(value: object, place: Place = (), key: str = "") -> Iterator[tuple[Place, str, object]]:
    """Every scalar below a value, with the place of it and the key that it stands under."""
    children: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        children = ((str(name), item) for name, item in value.items())
    elif isinstance(value, list):
        children = enumerate(value)
    else:
        yield place, key, value
    for step, item in children:
        yield from _scalars(item, (*place, step), step if isinstance(step, str) else key)
