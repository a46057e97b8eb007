"""Guardrails: those that this gateway can feed, and the permission that Bedrock's take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from stacks.litellm_config.bedrock import bedrock_regions
from stacks.litellm_config.file import Place
from stacks.litellm_config.model import Model
from stacks.litellm_config.routes import Guardrail
from stacks.litellm_config.rules.bedrock import check_guardrail
from stacks.litellm_config.rules.modules import check_module
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.rules.roles import assumed
from stacks.litellm_config.words import closest, suggestion

GUARDRAILS: Final = {
    "azure/prompt_shield": ("api_base", "api_key"),
    "azure/text_moderations": ("api_base", "api_key"),
    "bedrock": ("guardrailIdentifier", "guardrailVersion", "aws_region_name"),
    "block_code_execution": (),
    "litellm_content_filter": (),
    "tool_permission": (),
}
"""The guardrails that run in the task or at a provider that it has credentials for, with what each needs in
`litellm_params`. Another one is a row here; where it calls somebody, prompts go there."""


def check(reading: Reading, models: Iterable[Model]) -> tuple[Guardrail, ...]:
    """The guardrails of Bedrock that calls are checked by, sorted."""
    _check_names(reading)
    found = {*_bedrock(reading), *_of_models(reading, models)}
    return tuple(sorted(found, key=lambda each: tuple(part or "" for part in each)))


def _of_models(reading: Reading, models: Iterable[Model]) -> Iterator[Guardrail]:
    """Those that an entry's calls name: whoever calls the model, asks them."""
    for model in models:
        given = model.parameters.get("guardrailConfig")
        called = model.by_role or model.role
        if called and isinstance(given, dict) and (name := reading.value(given.get("guardrailIdentifier"))):
            yield Guardrail(name, str(model.region), model.role, model.external_id)


def _bedrock(reading: Reading) -> Iterator[Guardrail]:
    given = reading.document.get("guardrails")
    if given is not None and not isinstance(given, list):
        reading.refuse(("guardrails",), "it must be a list of guardrails")
        return
    for index, entry in enumerate(given or ()):
        place: Place = ("guardrails", index)
        mapping = reading.mapping(place, entry)
        parameters = reading.said((*place, "litellm_params"), mapping.get("litellm_params"))
        kind = parameters.get("guardrail")
        if not mapping:
            continue
        if not isinstance(mapping.get("guardrail_name"), str):
            reading.refuse(place, "it has no guardrail_name: add one")
        if not isinstance(kind, str):
            reading.refuse(
                place, "litellm_params has no guardrail: add its kind, as in bedrock", at=("litellm_params",)
            )
        elif "." in kind and kind not in GUARDRAILS:
            check_module(reading, (*place, "litellm_params", "guardrail"), kind)
        elif kind not in GUARDRAILS:
            reading.refuse(
                (*place, "litellm_params", "guardrail"),
                f"{kind!r} is not set up in this gateway: {suggestion(kind, GUARDRAILS, 'remove it')}",
            )
            reading.findings.settle((*place, "litellm_params"))
        elif _has_all(reading, place, kind, parameters) and kind == "bedrock":
            role = assumed(reading, (*place, "litellm_params"), parameters)
            yield Guardrail(
                str(reading.value(parameters["guardrailIdentifier"])),
                str(reading.value(parameters["aws_region_name"])),
                role,
                reading.value(parameters.get("aws_external_id")) if role else None,
            )


def _has_all(reading: Reading, place: Place, kind: str, parameters: dict[str, Any]) -> bool:
    """Whether a guardrail has what it needs."""
    inside: Place = (*place, "litellm_params")
    if missing := [key for key in GUARDRAILS[kind] if not parameters.get(key)]:
        reading.refuse(place, f"litellm_params has no {', '.join(missing)}: {kind} needs it", at=("litellm_params",))
        return False
    if kind != "bedrock":
        return True
    region = reading.value(parameters["aws_region_name"])
    if region is not None and region not in bedrock_regions():
        close = closest(region, bedrock_regions())
        advice = f"did you mean {close!r}" if close else "write one of AWS's, as in us-west-2"
        reading.refuse(inside, f"aws_region_name {region!r} is not a region: {advice}", at=("aws_region_name",))
        return False
    check_guardrail(reading, inside, parameters)
    return reading.value(parameters["guardrailIdentifier"]) is not None


def _check_names(reading: Reading) -> None:
    """Warn of a model's guardrail that the file does not have: LiteLLM leaves it out without a word."""
    given, entries = reading.document.get("guardrails"), reading.document.get("model_list")
    known = [each.get("guardrail_name") for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        parameters = entry.get("litellm_params") if isinstance(entry, dict) else None
        names = parameters.get("guardrails") if isinstance(parameters, dict) else None
        for name in names if isinstance(names, list) else ():
            if name not in known:
                told = f"guardrails has no {name!r}, so nothing is guarded by it unless someone adds it in the admin UI"
                reading.warn(("model_list", index), told, at=("litellm_params", "guardrails"))
