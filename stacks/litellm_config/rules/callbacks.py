"""Callbacks and alerting, wherever LiteLLM takes one: to whom records of calls go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from stacks.litellm_config.file import Place
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.rules.settings import LICENCE
from stacks.litellm_config.variables import ALERTING, CALLBACKS, Needs
from stacks.litellm_config.words import suggestion

_LISTS: Final = (
    *("callbacks", "success_callback", "failure_callback", "service_callback", "input_callback"),
    "audit_log_callbacks",
)
_FED: Final = frozenset(
    {"argilla", "arize", "braintrust", "gcs", "humanloop", "langfuse", "langsmith", "lunary", "newrelic", "pointfive"}
    | {"posthog", "prometheus", "s3", "websearch", "zerobus"}
)
"""Callbacks that are not set up here, by the word with which what they are fed with begins: of litellm_settings, and of
a team's (`StandardCallbackDynamicParams` in LiteLLM's types/utils.py)."""
_ONE: Final = ("cold_storage_custom_logger",)
_SETTINGS: Final = ("callback_settings",)
_OF_TEAMS: Final = ("callbacks", "success_callback", "failure_callback")


def check(reading: Reading) -> tuple[tuple[str, ...], tuple[str, ...], Mapping[tuple[Place, str], Needs]]:
    """The callbacks and the kinds of alerting, and what each of them needs, by where it is asked for."""
    named = {name: at for at, names in _named(reading) for name in names}
    for name, at in named.items():
        if CALLBACKS[name].licensed and not reading.licensed:
            reading.refuse(
                ("litellm_settings",),
                f"the callback {name} needs a LiteLLM licence in production: remove it (general_settings.alerting: "
                f"[email] sends mail without one), or {LICENCE}",
                at=at[1:],
            )
    place: Place = ("general_settings", "alerting")
    alerting = reading.choices(place, reading.section("general_settings").get("alerting"), ALERTING)
    called: Place = ("litellm_settings", "callbacks")
    needs = {(called, name): CALLBACKS[name] for name in named}
    needs |= {(place, name): ALERTING[name] for name in alerting}
    return tuple(named), alerting, needs


def _check_left(reading: Reading, place: Place, given: Mapping[str, Any], lists: Iterable[str]) -> None:
    """Refuse what is there for a callback that is refused, as langfuse_public_key: nothing else reads it."""
    names = {str(name) for key in lists for name in _list(given.get(key))}
    for key in given:
        word = key.partition("_")[0]
        name = next((each for each in sorted(names) if re.split(r"[_.]", each)[0] == word), None)
        if word in _FED and name:
            reading.refuse((*place, key), f"it is of {name!r}, which is not set up in this gateway: remove it")


def _check_their_settings(reading: Reading) -> None:
    """Of `callback_settings` LiteLLM reads what has the name of a callback that is asked for, and nothing else."""
    settings = reading.section("litellm_settings")
    older = [each for item in _list(settings.get("guardrails")) if isinstance(item, dict) for each in item.values()]
    askers = [settings, *_list(settings.get("default_team_settings")), *older]
    lists = [_list(asker.get(key)) for asker in askers if isinstance(asker, dict) for key in _LISTS]
    asked = {str(name) for names in lists for name in names}
    for name in reading.mapping(_SETTINGS, reading.document.get(*_SETTINGS)):
        if name not in asked:
            reading.warn((*_SETTINGS, name), f"no list of callbacks has {name!r}, and nothing else reads it: remove it")
        elif name not in CALLBACKS:
            reading.refuse((*_SETTINGS, name), f"it is of {name!r}, which is not set up in this gateway: remove it")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _named(reading: Reading) -> Iterator[tuple[Place, tuple[str, ...]]]:
    settings = reading.section("litellm_settings")
    for key in _LISTS:
        place: Place = ("litellm_settings", key)
        yield place, reading.choices(place, settings.get(key), CALLBACKS)
    for key in _ONE:
        if (name := settings.get(key)) is not None and str(name) not in CALLBACKS:
            _refuse(reading, ("litellm_settings", key), name)
    yield from _of_older_guardrails(reading, settings)
    _check_left(reading, ("litellm_settings",), settings, _LISTS)
    teams = settings.get("default_team_settings")
    for index, team in enumerate(teams if isinstance(teams, list) else ()):
        given: Mapping[str, Any] = team if isinstance(team, dict) else {}
        for key in _OF_TEAMS:
            place = ("litellm_settings", "default_team_settings", index, key)
            names = given.get(key)
            yield place, reading.choices(place, [names] if isinstance(names, str) else names, CALLBACKS)
        _check_left(reading, ("litellm_settings", "default_team_settings", index), given, _OF_TEAMS)
    _check_their_settings(reading)


def _of_older_guardrails(reading: Reading, settings: Mapping[str, Any]) -> Iterator[tuple[Place, tuple[str, ...]]]:
    """Those of guardrails as they were before `guardrails` at the top: {name: {callbacks: […], default_on: …}}."""
    for index, item in enumerate(_list(settings.get("guardrails"))):
        for name, guardrail in item.items() if isinstance(item, dict) else ():
            place: Place = ("litellm_settings", "guardrails", index, name, "callbacks")
            yield (
                place,
                reading.choices(place, guardrail.get("callbacks"), CALLBACKS) if isinstance(guardrail, dict) else (),
            )


def _refuse(reading: Reading, place: Place, name: object) -> None:
    reading.refuse(place, f"{name!r} is not set up in this gateway: {suggestion(str(name), CALLBACKS, 'remove it')}")
