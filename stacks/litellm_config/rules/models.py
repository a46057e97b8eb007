"""The entries of model_list: what every provider's have, and which of them repeat one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stacks.litellm_config.catalog import catalog, modes
from stacks.litellm_config.file import Place
from stacks.litellm_config.model import PRICES_FROM, Model
from stacks.litellm_config.prices import CALLBACK, problem
from stacks.litellm_config.providers import BY_NAME, PROVIDERS
from stacks.litellm_config.rules import bedrock, rows
from stacks.litellm_config.rules.credentials import with_credential
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.rules.roles import assumed
from stacks.litellm_config.variables import Needs
from stacks.litellm_config.words import closest

_TEXTS: Final = ("api_base", "api_key", "api_version", "aws_region_name", "model", "model_id", "custom_llm_provider")
"""The settings of `litellm_params` that are asked for as text, beside a provider's own."""

_BESIDE: Final = frozenset({"model_name", "litellm_params", "model_info", "tpm", "rpm"})
"""What LiteLLM reads of an entry itself (`Deployment` in its types/router.py, and `Router._add_deployment`)."""

_WITH_EFFECT: Final = frozenset({"access_groups", "base_model", "id", "mode", PRICES_FROM, "team_id"})
"""Keys of `model_info` that are nearly as easy to miss as they are to miss nothing of: beside the names of prices."""

_BY_CALLERS: Final = "configurable_clientside_auth_params"
"""The parameter of an entry that names those which a request may say."""

_NO_TEXT: Final = "model_name is to be text: put it in quotes"

_ROUTER: Final = "auto_router"
"""LiteLLM's prefix for what chooses among models (its router_strategy/auto_router, adaptive_router and the like)."""


def models(reading: Reading) -> tuple[Model, ...]:
    """The entries that nothing is wrong with."""
    entries = reading.document.get("model_list")
    if not isinstance(entries, list) or not entries:
        reading.refuse(("model_list",), "it must list at least one model")
        return ()
    found = [_model(reading, index, entry) for index, entry in enumerate(entries)]
    _check_repeats(reading, entries)
    return tuple(model for model in found if model)


def names(reading: Reading) -> frozenset[str]:
    """The names that callers may ask for, also of entries with a mistake."""
    entries = reading.document.get("model_list")
    listed = (
        [entry.get("model_name") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )
    return frozenset(name for name in listed if isinstance(name, str) and name)


def _model(reading: Reading, index: int, entry: object) -> Model | None:
    place: Place = ("model_list", index)
    before = reading.findings.count
    mapping = reading.mapping(place, entry)
    if reading.findings.count != before:
        return None
    name = mapping.get("model_name")
    if not isinstance(name, str) or not name:
        told = "it has no model_name: add the name that callers ask for" if name in (None, "") else _NO_TEXT
        reading.refuse(place, told, at=("model_name",))
        return None
    _check_beside(reading, place, mapping)
    given = reading.said((*place, "litellm_params"), mapping.get("litellm_params"))
    info = reading.said((*place, "model_info"), mapping.get("model_info"))
    _check_parameters(reading, place, given)
    _check_info(reading, place, info)
    parameters = with_credential(reading, place, given)
    for key in _TEXTS:
        if key in parameters and not isinstance(parameters[key], str):
            what = f"{key} is to be text: {_as_text(parameters[key])}"
            reading.refuse((*place, "litellm_params"), what, at=(key,))
    full = parameters.get("model")
    if not isinstance(full, str) or not full:
        if "model" not in given:
            reading.refuse(place, "litellm_params has no model: add provider/model-id", at=("litellm_params",))
        return None
    provider = _provider(reading, place, full, parameters)
    if provider is None:
        return None
    if not full.partition("/")[2]:
        reading.refuse(place, f"{full!r} names no model: add its id", at=("litellm_params", "model"))
        return None
    row = BY_NAME[provider]
    region = parameters.get("aws_region_name") if "aws_region_name" in row.region else None
    role = assumed(reading, (*place, "litellm_params"), parameters) if provider == "bedrock" else None
    external_id = reading.value(parameters.get("aws_external_id")) if role else None
    label = reading.findings.file.label(place)
    model = Model(name, provider, full, reading.value(region), parameters, info, label, row, role, external_id)
    rows.check(reading, place, model)
    if wrong := problem(model):
        reading.refuse((*place, *wrong[0]), wrong[1])
    return model if reading.findings.count == before else None


def _check_beside(reading: Reading, place: Place, entry: Mapping[str, Any]) -> None:
    """Check what an entry has beside its parameters, where LiteLLM reads little and says nothing of the rest."""
    settings = catalog()["settings"]
    for key in entry.keys() - _BESIDE:
        if close := closest(key, _BESIDE):
            reading.refuse(place, f"unknown key {key!r}: did you mean {close!r}", at=(key,))
        elif key == "access_groups" or (key in settings["model_info"] and key not in settings["litellm_params"]):
            reading.refuse(place, f"{key!r} is not read here: move it to model_info", at=(key,))
        elif key in settings["litellm_params"]:
            reading.refuse(place, f"{key!r} is not read here: move it to litellm_params", at=(key,))
        else:
            reading.warn(place, f"LiteLLM {catalog()['litellm']} reads no {key!r} here and ignores it", at=(key,))


def _check_parameters(reading: Reading, place: Place, parameters: Mapping[str, Any]) -> None:
    """Check the names of an entry's parameters: what LiteLLM does not know, it sends on to the provider."""
    known = catalog()["settings"]["litellm_params"]
    place = (*place, "litellm_params")
    if parameters.get(_BY_CALLERS):
        told = "a request may say these parameters, and prompts go where it says: remove it"
        reading.warn(place, told, at=(_BY_CALLERS,))
    for key in parameters:
        if key in known or key in catalog()["sent_on"]:
            continue
        if key in catalog()["settings"]["model_info"] and not key.startswith("supports_"):
            reading.warn(place, f"{key!r} belongs into model_info: here it is sent to the provider", at=(key,))
        elif close := closest(key, known):
            reading.refuse(place, f"unknown key {key!r}: did you mean {close!r}", at=(key,))
        else:
            told = f"LiteLLM {catalog()['litellm']} does not know {key!r} and sends it to the provider as it is"
            reading.warn(place, told, at=(key,))


def _as_text(value: object) -> str:
    return "write the one value itself" if isinstance(value, list | dict) else "put it in quotes"


def _check_info(reading: Reading, place: Place, info: Mapping[str, Any]) -> None:
    """Warn of a key that is nearly one with an effect: LiteLLM keeps any, and answers it at /model/info."""
    effective = {*_WITH_EFFECT, *catalog()["price_names"]}
    for key in info.keys() - effective - set(catalog()["settings"]["model_info"]):
        if close := closest(key, effective):
            reading.warn((*place, "model_info"), f"{key!r} has no effect: did you mean {close!r}", at=(key,))
    mode = info.get("mode")
    if mode is not None and not (isinstance(mode, str) and mode in modes()):
        told = f"LiteLLM {catalog()['litellm']} knows no mode {mode!r}, so no route is closed for want of a model"
        advice = f": did you mean {close!r}" if (close := closest(str(mode), modes())) else ""
        reading.warn((*place, "model_info"), told + advice, at=("mode",))
    if info.get("supported_environments") is not None:
        reading.refuse(
            (*place, "model_info"),
            "the task has no LITELLM_ENVIRONMENT, without which LiteLLM leaves the entry out: remove "
            "supported_environments",
            at=("supported_environments",),
        )
    groups = info.get("access_groups")
    if groups is not None and not (isinstance(groups, list) and all(isinstance(group, str) for group in groups)):
        reading.refuse((*place, "model_info", "access_groups"), "it must be a list of names, as in [research]")


def _provider(reading: Reading, place: Place, full: str, parameters: Mapping[str, Any]) -> str | None:
    """Whose model it is: one of PROVIDERS. Another one's is refused."""
    prefix, slash, _ = full.partition("/")
    named = parameters.get("custom_llm_provider")
    if slash and prefix in PROVIDERS and named in (None, prefix):
        return prefix
    known, at = f"{', '.join(PROVIDERS[:-1])} and {PROVIDERS[-1]}", ("litellm_params", "model")
    if (slash and prefix in PROVIDERS) or named in PROVIDERS:
        reading.refuse(
            place,
            f"custom_llm_provider is {named!r} and model {full!r}: begin model with the provider, as in "
            f"{named if named in PROVIDERS else prefix}/…, and remove custom_llm_provider",
            at=at,
        )
    elif slash and prefix == _ROUTER:
        reading.refuse(
            place,
            f"{full!r} is no model but LiteLLM's choice among some by what is asked, of which this gateway knows no "
            "routes, hosts or prices: remove it, and have callers name the models",
            at=at,
        )
    elif slash and prefix in catalog()["providers"]:
        speaks = ", begin model with openai/ if its api_base speaks OpenAI's format" if "api_base" in parameters else ""
        reading.refuse(
            place,
            f"this gateway has no credentials for {prefix}: it serves {known}, so take the model from one of them"
            f"{speaks}, or add the provider (docs/providers.md, One more)",
            at=at,
        )
    elif slash and (close := closest(prefix, PROVIDERS)):
        reading.refuse(place, f"there is no provider {prefix!r}: did you mean {close!r}", at=at)
    else:
        *others, last = [each for each in PROVIDERS if f"{each}/{full}" in catalog()["prices"]] or PROVIDERS
        prefixes = " or ".join(filter(None, (", ".join(f"{each}/" for each in others), f"{last}/")))
        reading.refuse(place, f"{full!r} does not say whose model it is: begin it with {prefixes}", at=at)
    return None


def _check_repeats(reading: Reading, entries: list[Any]) -> None:
    """Refuse an entry that is another one's as a whole: it would get twice the share of the calls, and nothing else."""
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            continue
        first = seen.setdefault(_as_text_of(entry), index)
        if first != index:
            other = reading.findings.file.label(("model_list", first))
            reading.refuse(("model_list", index), f"it repeats {other}: remove one or change its region or base")


def notices(reading: Reading, found: tuple[Model, ...]) -> None:
    """Warn of models whose price LiteLLM does not know; one of 0 is meant so. Only of a file with no mistakes."""
    for index, model in enumerate(found):
        if not model.is_priced():
            reading.warn(
                ("model_list", index),
                f"LiteLLM {catalog()['litellm']} knows no price for {model.model}, so its use would cost nothing in "
                "reports and budgets; set model_info.input_cost_per_token and output_cost_per_token, or "
                "model_info.base_model",
            )
        bedrock.price_notice(reading, ("model_list", index), model)


def needs(found: tuple[Model, ...]) -> Mapping[tuple[Place, str], Needs]:
    """The variables that LiteLLM takes by itself for what an entry leaves out, by the entry."""
    return {(("model_list", index), ""): rows.needs(model) for index, model in enumerate(found)}


def _as_text_of(value: object) -> str:
    """The same text for what is the same, in whatever order its keys are."""
    if isinstance(value, dict):
        return f"{{{sorted(f'{key!r}: {_as_text_of(each)}' for key, each in value.items())}}}"
    return f"[{[_as_text_of(each) for each in value]}]" if isinstance(value, list) else repr(value)


def check_charged(reading: Reading, found: tuple[Model, ...]) -> None:
    """Refuse prices with a day that nobody would charge on it."""
    callbacks = reading.section("litellm_settings").get("callbacks")
    dated = next((model for model in found if PRICES_FROM in model.info), None)
    if dated and CALLBACK not in (callbacks if isinstance(callbacks, list) else ()):
        reading.refuse(
            ("litellm_settings", "callbacks"),
            f"{dated.entry} has {PRICES_FROM}, which only the callback {CALLBACK} charges: add it to the list",
        )
