"""What is done about each refusal of the reader that can be mended without asking: a row for each kind of sentence.

Any other leaves the entry out, with the reader's own sentence, for a person to decide (`judging`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Final

from ops.importing.bringing import SECTIONS, Bringing
from ops.importing.variables import RENAMED, STATIC
from stacks.litellm_config import PROVIDERS, Refusal
from stacks.litellm_config.file import Place
from stacks.litellm_config.providers import BY_NAME
from stacks.litellm_config.rules.settings import MAX_CONNECTIONS, MAX_REQUEST_TIMEOUT
from stacks.litellm_config.variables import REFERENCE

Found = re.Match[str]
_ALIASES: Final = ("router_settings", "model_group_alias")

_INFERRED: Final = (
    (r"(gpt|chatgpt|o\d|text-embedding-(3|ada)|dall-e|tts|whisper|omni-moderation)-?", "openai"),
    (r"claude-", "anthropic"),
)
"""Whose model LiteLLM takes a name for that does not say it: its lists by provider (`get_llm_provider` in its
litellm_core_utils/get_llm_provider_logic.py)."""

Mend = Callable[[Bringing, Place, Refusal, Found], None]


def mended(bringing: Bringing, refusal: Refusal, place: Place) -> bool:
    """Mend what is refused at a place of the tree; whether there is a way."""
    if place == _ALIASES and "must be a mapping" in refusal.problem:
        _merged(bringing, place, refusal)
        return True
    for pattern, mend in MENDS:
        if found := re.search(pattern, refusal.problem):
            mend(bringing, place, refusal, found)
            return True
    return False


def _dropped(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    bringing.drop(place, refusal.problem)


def _for_all_of_aws(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    """The task's role is what a guardrail's calls of AWS, and others', are signed by."""
    if str(place[-1]) in STATIC:
        bringing.drop(place, "the role of the task calls AWS")
    else:
        bringing.decide(place, refusal.problem)


def _not_set_up(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    """Without a callback less is known of calls; what a guardrail guards against is for a person to decide."""
    if "guardrails" in place[:2]:
        bringing.decide(place[: place.index("guardrails") + 2], refusal.problem)
    else:
        bringing.drop(place, refusal.problem)
        if place[0] == "callback_settings" and not bringing.tree.get(place[:1]):
            bringing.tree.remove(place[:1])


def _keys_dropped(bringing: Bringing, place: Place, refusal: Refusal, found: Found) -> None:
    for key in re.findall(r"\w+", found["keys"].replace(" and ", " ")):
        if bringing.tree.has((*place[:-1], key)):
            bringing.drop((*place[:-1], key), refusal.problem)


def _renamed(bringing: Bringing, place: Place, refusal: Refusal, found: Found) -> None:
    to = (*place[:-1], found["new"])
    if bringing.tree.has(to):
        bringing.drop(place, refusal.problem)
    else:
        bringing.move(place, to, refusal.problem)


def _moved(bringing: Bringing, place: Place, refusal: Refusal, found: Found) -> None:
    section = found["to"]
    to: Place = (section, place[-1]) if section in SECTIONS else (*place[:-1], section, place[-1])
    if bringing.tree.has(to):
        bringing.drop(place, f"{refusal.problem}; it is there already, and that counts")
    else:
        bringing.move(place, to, refusal.problem)


def _as_text(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    value = bringing.tree.get(place)
    text = value.isoformat() if isinstance(value, date) else str(value)
    bringing.change(place, text, refusal.problem, f'"{text}"')


def _keys_as_text(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    mapping = bringing.tree.get(place)
    for key in [key for key in mapping if not isinstance(key, str)] if isinstance(mapping, dict) else ():
        bringing.move((*place, key), (*place, str(key)), refusal.problem)


def _given(bringing: Bringing, place: Place, refusal: Refusal, found: Found) -> None:
    """Name the variable that LiteLLM takes by itself where an entry names none, as the provider's row has it."""
    for key in re.findall(r"\w+", found["keys"]):
        reference = f"{REFERENCE}{BY_NAME[found['provider']].variables[key]}"
        why = f"{refusal.problem}; LiteLLM takes it from this variable by itself, and here the entry names it"
        bringing.change((*place, "litellm_params", key), reference, why, reference)


def _region_given(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    entry = place[:2]
    model = str(bringing.tree.get((*entry, "litellm_params", "model"), ""))
    in_path = re.match(r"bedrock/([a-z]{2}(-[a-z]+)+-\d)/", model)
    region = in_path[1] if in_path else bringing.variables.region() or f"{REFERENCE}AWS_REGION"
    where = "its path names it" if in_path else "LiteLLM takes the region of the task then"
    bringing.change((*entry, "litellm_params", "aws_region_name"), region, f"{refusal.problem}; {where}", region)


def _key_file(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    """Have the content of Google's key file in a secret: the usual one, or another for another file."""
    path = str(bringing.tree.get(place))
    known = bringing.given.setdefault(f"file:{path}", _name_of_file(bringing, path))
    reference = f"{REFERENCE}{known}"
    bringing.from_fields.setdefault(known, []).append(f"{bringing.label(place)}, the content of {path}")
    bringing.change(place, reference, refusal.problem, reference)


def _name_of_file(bringing: Bringing, path: str) -> str:
    usual = "VERTEX_CREDENTIALS"
    if usual not in bringing.given.values():
        return usual
    stem = re.sub(r"[^A-Z0-9]+", "_", path.rpartition("/")[2].rpartition(".")[0].upper()).strip("_") or "OTHER"
    stem = stem if stem[0].isalpha() else f"OF_{stem}"
    return f"{stem.removesuffix('_CREDENTIALS')}_{usual}"


def _version(bringing: Bringing, place: Place, refusal: Refusal, found: Found) -> None:
    """Write the value of a variable that LiteLLM sets itself, or leave LiteLLM's own in force."""
    if value := bringing.known(found["name"]):
        bringing.change(place, value, refusal.problem, value)
    else:
        bringing.drop(place, f"{refusal.problem}; its value is not in the files, so LiteLLM's own default is in force")


def _provider_in_front(bringing: Bringing, place: Place, refusal: Refusal, found: Found) -> None:
    entry = (*place[:2], "litellm_params")
    model = str(bringing.tree.get((*entry, "model"), ""))
    bare = model.partition("/")[2] if model.startswith(f"{found['provider']}/") else model
    new = f"{found['provider']}/{bare}"
    bringing.change((*entry, "model"), new, refusal.problem, new)
    if bringing.tree.has((*entry, "custom_llm_provider")):
        bringing.drop((*entry, "custom_llm_provider"), refusal.problem)


def _whose(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    """Begin a model's name with the provider that LiteLLM takes it for, where this gateway serves that."""
    model = str(bringing.tree.get(place))
    provider = next((name for pattern, name in _INFERRED if re.match(pattern, model)), None)
    if provider not in PROVIDERS:
        bringing.decide(place[:2], refusal.problem)
        return
    bringing.change(
        place, f"{provider}/{model}", f"{refusal.problem}; LiteLLM takes it for {provider}'s", f"{provider}/{model}"
    )


def _number(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    """Write the nearest number that can be."""
    most, usual = (MAX_CONNECTIONS, 10) if place[-1] == "database_connection_pool_limit" else (MAX_REQUEST_TIMEOUT, 600)
    given = bringing.tree.get(place)
    try:
        number = min(max(int(float(given)), 1), most)
    except (TypeError, ValueError, OverflowError):
        number = usual
    bringing.change(place, number, refusal.problem, str(number))


def _in_list(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    """Write what stands alone as a list of it, and a mapping of fallbacks as a list of mappings."""
    value = bringing.tree.get(place)
    listed = [{key: each} for key, each in value.items()] if isinstance(value, dict) else [value]
    bringing.change(place, listed, refusal.problem)


def _fallbacks_in_list(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    ((model, fallback),) = bringing.tree.get(place).items()
    bringing.change((*place, model), [fallback], refusal.problem, f"[{fallback}]")


def _one_model_each(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    """Write an item of fallbacks that names several models as an item for each."""
    given = bringing.tree.get(place)
    if given == {}:
        bringing.drop(place, "what it fell back to is not there, and nothing of it is left")
        return
    if not isinstance(given, dict):
        bringing.decide(place, refusal.problem)
        return
    first, *others = given.items()
    bringing.change(place, dict([first]), refusal.problem)
    for model, fallbacks in others:
        bringing.add(place[:-1], {model: fallbacks}, refusal.problem)


def _merged(bringing: Bringing, place: Place, refusal: Refusal) -> None:
    """Write a list of mappings as the one mapping that it was meant for."""
    given = bringing.tree.get(place)
    if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
        bringing.decide(place, refusal.problem)
        return
    bringing.change(place, {key: value for each in given for key, value in each.items()}, refusal.problem)


def _by_converse(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    new = str(bringing.tree.get(place)).replace("invoke/", "converse/", 1)
    bringing.change(place, new, refusal.problem, new)


def _as_told(bringing: Bringing, place: Place, refusal: Refusal, found: Found) -> None:
    """Call a model as the sentence has it, which leaves nothing to choose."""
    entry = (*place[:2], "litellm_params")
    bringing.change((*entry, "model"), found["new"], refusal.problem, found["new"])
    if bringing.tree.has((*entry, "model_id")):
        bringing.drop((*entry, "model_id"), refusal.problem)


def _empty(bringing: Bringing, place: Place, refusal: Refusal, found: Found) -> None:
    bringing.change((*place, found["key"]), {}, refusal.problem, "{}")


def _other_name(bringing: Bringing, place: Place, refusal: Refusal, _: Found) -> None:
    """A name that is of no model here: taken out of what names it, as of a model that is not brought over."""
    bringing.drop(place, f"{refusal.problem}; what names it goes with it")


def _credentials_of(bringing: Bringing, place: Place, refusal: Refusal, found: Found) -> None:
    """Call a secret by a name that is one: the reader says which endings there are."""
    name = str(bringing.tree.get(place)).removeprefix(REFERENCE)
    new = RENAMED.get(name) or f"{name}_SECRET"
    bringing.change(place, f"{REFERENCE}{new}", refusal.problem, f"{REFERENCE}{new}")


MENDS: Final[tuple[tuple[str, Mend], ...]] = (
    (r"^unknown key '.+': did you mean '(?P<new>.+)'", _renamed),
    (r"is not read here: move it to (?P<to>\w+)", _moved),
    (r"is not text: put it in quotes", _keys_as_text),
    (r"is to be text: put it in quotes", _as_text),
    (r"^remove (?P<keys>aws_\w+(, aws_\w+)*): the task's role calls", _keys_dropped),
    (r"(?P<keys>cache and cache_params)", _keys_dropped),
    (r"^a Bedrock API key: remove it|profiles of the AWS CLI: remove|means nothing to \w+: remove it", _dropped),
    (r"^remove it: |reach no other Redis|^this gateway does not use it: |LITELLM_ENVIRONMENT", _dropped),
    (r"^it repeats ", _dropped),
    (r"has no aws_region_name", _region_given),
    (r"litellm_params has no (?P<keys>\w+(, \w+)*): (?P<provider>\w+) needs it, as in os", _given),
    (r"names a file that the image does not have", _key_file),
    (r"^LiteLLM sets (?P<name>\w+) itself", _version),
    (r"begin model with the provider, as in (?P<provider>\w+)/", _provider_in_front),
    (r"does not say whose model it is", _whose),
    (r"must be a whole number from|^it is not set: add it, a whole number", _number),
    (r"^it must be a list, as in", _in_list),
    (r"^what .+ falls back to must be a list", _fallbacks_in_list),
    (r"^each of it must be one model with its fallbacks", _one_model_each),
    (r"knows no format for it by invoke/", _by_converse),
    (r"is named by its ARN alone: write (?P<new>bedrock/arn:\S+)$", _as_told),
    (r"write (?P<key>credential_\w+): \{\} if it is empty", _empty),
    (r"is no model_name", _other_name),
    (r"is a secret, which is taken from Parameter Store if its name ends in", _credentials_of),
    (r"is not set up in this gateway", _not_set_up),
    (r"is read for every call of AWS", _for_all_of_aws),
    (r"^LiteLLM has no .+: use one of|^LiteLLM has no .+: did you mean", _dropped),
)
"""The first row that fits counts. What it takes a person for has none: an address that is closed, a role of another
account, a permission that the task's role is not given, a licence, a provider that is not served, a file of Python."""
