"""Policies: which guardrails run for whom, and where what they mask is sent on as it was.

What LiteLLM does not start with is read in `validate_policies` of its proxy/policy_engine/policy_validator.py. It masks
a streamed answer of /v1/responses only in a pipeline after the call (`_pipeline_gated_stream` of its proxy/utils.py). A
stream of Google's format, which no pipeline can write to (`delivers_ended_stream_rewrites` of its guardrail_translation
modules), it sends on as it was, unless a guardrail beside the pipeline looks at it, which ends it with an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from stacks.litellm_config.file import Place
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.words import closest, suggestion

_AFTER: Final = "post_call"
_PAGE: Final = "docs/config.md, Personal data"
_KEYS: Final = {
    "policy": ("condition", "description", "guardrails", "inherit", "pipeline"),
    "guardrails": ("add", "remove"),
    "pipeline": ("mode", "steps"),
}
"""What LiteLLM reads (`parse_policy` in its proxy/policy_engine/policy_registry.py)."""
_MODES: Final = ("pre_call", _AFTER)


def check(reading: Reading) -> None:
    """Refuse what LiteLLM does not start with, and warn of what is not masked."""
    place: Place = ("policies",)
    policies = reading.mapping(place, reading.document.get("policies"))
    masking = {name: index for index, name, parameters in _guardrails(reading) if _masks(parameters)}
    always = {name for _, name, parameters in _guardrails(reading) if parameters.get("default_on")}
    attached = _check_attachments(reading, policies)
    looked_at, alone = set[str](), list[Place]()
    for name, given in policies.items():
        policy = reading.mapping((*place, name), given)
        _check_keys(reading, (*place, name), policy, "policy")
        added = _added(reading, (*place, name), policy)
        _check_parent(reading, (*place, name), policy.get("inherit"), policies)
        steps = _steps(reading, (*place, name), policy.get("pipeline"), added)
        masked = {step for step in steps if step in masking} if name in attached else set[str]()
        looked_at |= masked
        if masked and not ({*added, *always, *_inherited(policies, policy)} - {*steps}) & masking.keys():
            alone.append((*place, name))
    for name in policies.keys() - attached:
        reading.warn((*place, name), "no entry of policy_attachments names it, so it is in force for nobody")
    _warn_of_streams(reading, masking, looked_at, alone)


def _check_keys(reading: Reading, place: Place, given: Mapping[str, Any], of: str) -> None:
    for key in given:
        if key not in _KEYS[of]:
            told = f"LiteLLM reads no {key!r} there, so it has no effect: {suggestion(key, _KEYS[of], 'remove it')}"
            reading.warn(place, told, at=(key,))


def _guardrails(reading: Reading) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    given = reading.document.get("guardrails")
    for index, entry in enumerate(given if isinstance(given, list) else ()):
        if isinstance(entry, dict) and isinstance(entry.get("guardrail_name"), str):
            parameters = entry.get("litellm_params")
            yield index, entry["guardrail_name"], parameters if isinstance(parameters, dict) else {}


def _masks(parameters: Mapping[str, Any]) -> bool:
    """Whether it is one of Bedrock's that masks answers."""
    mode = parameters.get("mode")
    after = _AFTER in mode if isinstance(mode, list) else mode == _AFTER
    return parameters.get("guardrail") == "bedrock" and after and bool(parameters.get("mask_response_content"))


def _added(reading: Reading, place: Place, policy: Mapping[str, Any]) -> tuple[str, ...]:
    """The guardrails that a policy adds, each of which must be in the file if any is."""
    guardrails = reading.mapping((*place, "guardrails"), policy.get("guardrails"))
    _check_keys(reading, (*place, "guardrails"), guardrails, "guardrails")
    given = guardrails.get("add")
    names = tuple(each for each in given if isinstance(each, str)) if isinstance(given, list) else ()
    known = {name for _, name, _ in _guardrails(reading)}
    for name in names:
        if known and name not in known:
            close = closest(name, known)
            advice = f"did you mean {close!r}" if close else "add it to guardrails, or take it out"
            reading.refuse(
                place,
                f"guardrails has no {name!r}, and LiteLLM does not start: {advice}",
                at=("guardrails", "add"),
            )
    return names


def _inherited(policies: Mapping[str, Any], policy: Mapping[str, Any]) -> Iterator[str]:
    """The guardrails that the policies above it add."""
    seen = list[object]()
    while isinstance(parent := policy.get("inherit"), str) and parent not in seen:
        seen.append(parent)
        policy = policies.get(parent) or {}
        guardrails = policy.get("guardrails") or {} if isinstance(policy, dict) else {}
        names = guardrails.get("add") if isinstance(guardrails, dict) else None
        yield from (each for each in names if isinstance(each, str)) if isinstance(names, list) else ()


def _check_parent(reading: Reading, place: Place, parent: object, policies: Mapping[str, Any]) -> None:
    if parent is None:
        return
    seen = {str(place[-1])}
    while isinstance(parent, str):
        if parent not in policies:
            reading.refuse(place, f"there is no policy {parent!r} to inherit from, and LiteLLM does not start")
            return
        if parent in seen:
            reading.refuse(place, f"it inherits from itself by way of {parent!r}, and LiteLLM does not start")
            return
        seen.add(parent)
        above = policies[parent]
        parent = above.get("inherit") if isinstance(above, dict) else None


def _steps(reading: Reading, place: Place, pipeline: object, added: tuple[str, ...]) -> tuple[str, ...]:
    """The guardrails of a pipeline after the call; each step of any must be one that the policy adds."""
    given = reading.mapping((*place, "pipeline"), pipeline)
    _check_keys(reading, (*place, "pipeline"), given, "pipeline")
    steps = given.get("steps")
    names = [each.get("guardrail") for each in steps if isinstance(each, dict)] if isinstance(steps, list) else []
    for name in names:
        if name not in added:
            reading.refuse(
                place,
                f"a step asks {name!r}, which the policy does not add, and LiteLLM does not start: name it in "
                "guardrails.add too",
                at=("pipeline", "steps"),
            )
    mode = given.get("mode", _MODES[0])
    if mode not in _MODES:
        told = f"{mode!r} is no mode of a pipeline, and LiteLLM does not start: use one of {', '.join(_MODES)}"
        reading.refuse(place, told, at=("pipeline", "mode"))
    return tuple(name for name in names if isinstance(name, str)) if mode == _AFTER else ()


def _check_attachments(reading: Reading, policies: Mapping[str, Any]) -> set[str]:
    """The policies that are attached."""
    given = reading.document.get("policy_attachments")
    attached = [each.get("policy") for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    for index, name in enumerate(attached):
        if not isinstance(name, str) or name not in policies:
            told = f"there is no policy {name!r}, so nothing is attached unless someone adds it in the admin UI"
            reading.warn(("policy_attachments", index), told)
    return {name for name in attached if isinstance(name, str)}


def _warn_of_streams(reading: Reading, masking: Mapping[str, int], looked_at: set[str], alone: Iterable[Place]) -> None:
    if masking and not looked_at:
        reading.warn(
            ("guardrails", min(masking.values())),
            "a streamed answer of /v1/responses is not masked by it: LiteLLM masks that in a pipeline of policies "
            f"alone ({_PAGE})",
        )
    for place in alone:
        reading.warn(
            place,
            "a streamed answer in Google's format is not masked by its pipeline and goes out as it is: have the policy "
            f"add a second guardrail that masks, which is in no step ({_PAGE})",
        )
