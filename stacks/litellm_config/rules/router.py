"""router_settings, and the fallbacks and aliases of any section: which names stand for which models."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from typing import Any, Final

from stacks.litellm_config.file import Place
from stacks.litellm_config.rules.modules import check_module
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.rules.redis import NO_REDIS
from stacks.litellm_config.words import suggestion

FALLBACK_SETTINGS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks")
STRATEGIES: Final = (
    *("simple-shuffle", "lar1", "least-busy", "latency-based-routing", "cost-based-routing", "usage-based-routing"),
    *("usage-based-routing-v2", "provider-budget-routing"),
)
"""`VALID_ROUTING_STRATEGIES` of LiteLLM's router, which does not start with another."""

_LISTED: Final = "name one of model_list"


def check(reading: Reading, listed: frozenset[str]) -> None:
    """Check the section, and the fallbacks of the other one; `listed` are the names of models."""
    settings = reading.section("router_settings")
    for key in settings:
        if key.startswith("redis_"):
            reading.refuse(("router_settings",), NO_REDIS.format(f"remove {key}"), at=(key,))
    if (strategy := settings.get("routing_strategy")) is not None and strategy not in STRATEGIES:
        known = suggestion(str(strategy), STRATEGIES, "")
        reading.refuse(("router_settings", "routing_strategy"), f"LiteLLM has no {strategy!r}: {known}")
    plugins = settings.get("plugins")
    for index, plugin in enumerate(plugins if isinstance(plugins, list) else ()):
        check_module(reading, ("router_settings", "plugins", index), plugin)
    names = listed | _aliases(reading, listed)
    for section in ("router_settings", "litellm_settings"):
        for setting in FALLBACK_SETTINGS:
            value = reading.section(section).get(setting)
            if value is None:
                continue
            if setting == "default_fallbacks":
                _check_names(reading, (section, setting), value, names)
            else:
                _check_fallbacks(reading, (section, setting), value, names)


def _aliases(reading: Reading, listed: frozenset[str]) -> frozenset[str]:
    """The names of `model_group_alias`; one that stands for nothing is refused."""
    place = ("router_settings", "model_group_alias")
    aliases = reading.mapping(place, reading.section("router_settings").get("model_group_alias"))
    for alias, target in aliases.items():
        name = target.get("model") if isinstance(target, dict) else target
        if target is not None and not _is_offered(name, listed):
            problem = f"{alias!r} stands for {name!r}, which is no model_name: {suggestion(str(name), listed, _LISTED)}"
            reading.refuse(place, problem, at=(alias,))
    return frozenset(aliases)


def _check_fallbacks(reading: Reading, place: Place, value: object, names: frozenset[str]) -> None:
    """Check [{model: [fallback, …]}, …], the one form that LiteLLM starts with (`Router.validate_fallbacks`)."""
    if not isinstance(value, list):
        reading.refuse(place, "it must be a list, as in [{model: [fallback]}]")
        return
    for index, item in enumerate(value):
        if not isinstance(item, dict) or len(item) != 1:
            reading.refuse(
                place, "each of it must be one model with its fallbacks, as in {model: [fallback]}", at=(index,)
            )
            continue
        ((model, fallbacks),) = item.items()
        _check_name(reading, place, model, names, at=(index,))
        if isinstance(fallbacks, list):
            for position, each in enumerate(fallbacks):
                name = each.get("model") if isinstance(each, dict) else each
                _check_name(reading, place, name, names, at=(index, str(model), position))
        else:
            reading.refuse(place, f"what {model} falls back to must be a list, as in [{fallbacks}]", at=(index,))


def _check_names(reading: Reading, place: Place, value: object, names: frozenset[str]) -> None:
    if not isinstance(value, list):
        reading.refuse(place, "it must be a list of models, as in [model]")
        return
    for index, name in enumerate(value):
        _check_name(reading, place, name, names, at=(index,))


def _check_name(reading: Reading, place: Place, name: Any, names: Iterable[str], at: Place) -> None:  # noqa: ANN401
    if name != "*" and not _is_offered(name, names):
        reading.refuse(place, f"{name!r} is no model_name: {suggestion(str(name), names, _LISTED)}", at=at)


def _is_offered(name: object, names: Iterable[str]) -> bool:
    """Whether a name is one of a model, or fits one with a star in it."""
    return isinstance(name, str) and any(
        name == each or ("*" in each and fnmatch.fnmatch(name, each)) for each in names
    )
