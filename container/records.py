"""The record of a call: what Datadog gets to know of it, names and figures, and no text of anybody's.

LiteLLM's own record is many times as long: it has the prompt and the answer (emptied by `turn_off_message_logging`),
the texts of errors, the caller's headers and the price list. This one is an allow list. Datadog gets it as the JSON
object {"llm": {…}}, so that none of its attributes has the name of one of Datadog's own, as LiteLLM's `status` has.

A record is put together from parts: a part that cannot be made is left out, and the record is sent all the same.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

UNKNOWN = "unknown"
GLOBAL = "global"  # as Google calls what is nowhere in particular
REGION_TAG = "region:"
# Of a call and of a refused request these are always there: a sum over the values of one is the sum over all.
TEXTS = ("user", "team", "key", "model", "deployment", "provider", "region", "call_type", "call_id")
# What a caller can write into a request and a record repeats: a name is one, a sentence is not.
NAME = re.compile(r"[\w.:@+-]{1,128}")
# Where a URL says it: Amazon's and Azure's in the host's name, Google's in the path.
REGIONS = (
    re.compile(r"//bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\."),
    re.compile(r"//([a-z0-9-]+)\.[a-z0-9.]*azure\.com\b"),
    re.compile(r"googleapis\.com/.*/locations/([a-z0-9-]+)"),
)
# The first words of hosts that are a provider's whole API, and tell no place.
APIS = ("api", "generativelanguage")
# Where the providers say by which number they know a request, Azure's API gateway before the model behind it.
REQUEST_ID_HEADERS = (*("x-amzn-requestid", "apim-request-id", "x-request-id", "request-id", "mistral-correlation-id"),)
# Of which LiteLLM makes up the number of an answer, as they send none.
UNNUMBERED = ("bedrock", "ollama", "ollama_chat")

Json = dict[str, Any]
Part = Callable[[], Mapping[str, Any]]
Saving = Callable[[Mapping[str, Any]], float | None]

_log = logging.getLogger("LiteLLM")


@dataclass
class Attempt:
    """One attempt at a provider: when it began, in seconds since 1970, and whether another had failed before it."""

    start: float
    retried: bool = False
    failed: bool = False


def succeeded(payload: Mapping[str, Any], attempt: Attempt | None, *, saving: Saving) -> Json:
    """Return the record of an answered attempt, from LiteLLM's StandardLoggingPayload.

    `saving` says what the provider's cache saved of such an attempt, in US dollars.
    """
    return _call(
        lambda: {"outcome": "success"},
        lambda: _who(payload["metadata"], payload["response_cost"]),
        lambda: _what(payload),
        lambda: {"streamed": payload["stream"] is True, "provider_request_id": _request_id(payload)},
        lambda: _tokens(payload),
        lambda: _saved(payload, saving),
        lambda: _times(payload, attempt),
        # Of a retried request, LiteLLM counts the earlier attempts as its own time.
        lambda: (
            {} if attempt and attempt.retried else {"overhead_ms": payload["hidden_params"]["litellm_overhead_time_ms"]}
        ),
    )


def broken(
    payload: Mapping[str, Any], error: object, attempt: Attempt | None, *, streamed: bool, saving: Saving
) -> Json:
    """Return the record of an attempt that failed after its answer had begun, or before the provider was called.

    If the provider had counted tokens, or LiteLLM has estimated them, they are there.
    """
    return _call(
        lambda: _failure(error),
        lambda: _who(payload["metadata"], payload["response_cost"]),
        lambda: _what(payload),
        lambda: {"streamed": streamed, "provider_request_id": _header(_headers(error))},
        lambda: _tokens(payload) if payload["total_tokens"] else {},
        lambda: _saved(payload, saving) if payload["total_tokens"] else {},
        lambda: {"seconds": _times(payload, attempt)["seconds"]},
    )


def failed(request: Mapping[str, Any], error: object, call: Mapping[str, Any], *, seconds: float) -> Json:
    """Return the record of an attempt that a provider refused or did not answer.

    `request` is what LiteLLM's call was given, `call` what LiteLLM notes of it (its `model_call_details`).
    """
    metadata = metadata_of(request) or {}
    return _call(
        lambda: _failure(error),
        lambda: _who(metadata),
        lambda: {
            "model": metadata["model_group"],
            "deployment": metadata["deployment"],
            "provider": metadata["deployment"].partition("/")[0],
            "region": _tagged_region(metadata.get("tags")),
        },
        lambda: {"call_type": _name(call["call_type"]), "call_id": _name(request["litellm_call_id"])},
        lambda: {"streamed": request.get("stream") is True, "provider_request_id": _header(_headers(error))},
        lambda: {"seconds": _seconds(seconds)},
    )


def rejected(request: Mapping[str, Any], error: object, caller: object, *, models: set[str]) -> Json:
    """Return the record of a request that the gateway itself refused.

    `caller` is LiteLLM's UserAPIKeyAuth. `models` are those that the gateway has: another one is what somebody typed,
    and no value to count by.
    """
    fields = {
        "user_api_key_user_id": "user_id",
        "user_api_key_team_alias": "team_alias",
        "user_api_key_team_id": "team_id",
        "user_api_key_alias": "key_alias",
        "user_api_key_user_spend": "user_spend",
        "user_api_key_user_max_budget": "user_max_budget",
    }
    return _call(
        lambda: _failure(error),
        lambda: _who({name: getattr(caller, field, None) for name, field in fields.items()}),
        lambda: {"model": model if (model := request.get("model")) in models else None},
        lambda: {"call_type": _name(request.get("call_type")), "call_id": _name(request.get("litellm_call_id"))},
        lambda: {"streamed": request.get("stream") is True},
        kind="rejected",
    )


def service(name: str, call_type: str, *, ok: bool, seconds: float) -> Json:
    """Return the record of LiteLLM's own work, such as a write to its database."""
    return _record(
        "service",
        lambda: {"outcome": "success"} if ok else _failure(None),
        lambda: {"call_type": _name(f"{name}:{call_type}"), "seconds": _seconds(seconds)},
    )


def heartbeat() -> Json:
    """Return the record that says no more than that there is somebody to send it."""
    return _record("heartbeat")


def metadata_of(request: Mapping[str, Any]) -> Json | None:
    """Return what LiteLLM knows of a request that it has given to a deployment, None before that.

    OpenAI's and Anthropic's formats have a `metadata` of their own, where LiteLLM calls it `litellm_metadata` then.
    """
    places = (request.get("metadata"), request.get("litellm_metadata"))
    return next((place for place in places if isinstance(place, dict) and "deployment" in place), None)


def tag_region(request: Mapping[str, Any]) -> None:
    """Tag a request with the region of the deployment that it goes to now, and no other.

    LiteLLM's daily figures by tag then know what each region costs. A caller's own tag of that name is taken away.
    """
    metadata = metadata_of(request)
    if metadata is not None:
        # A new list: LiteLLM may share the old one between requests of the same key.
        others = [tag for tag in _list(metadata.get("tags")) if not str(tag).startswith(REGION_TAG)]
        metadata["tags"] = [*others, f"{REGION_TAG}{region(request, metadata['deployment'])}"]


def region(parameters: Mapping[str, Any], deployment: str) -> str:
    """Return where a deployment runs: Amazon's region, Google's location, the name of Azure's resource or of a server.

    What is called at its provider's one address is `GLOBAL`. `parameters` are its litellm_params.
    """
    provider = parameters.get("custom_llm_provider") or deployment.partition("/")[0]
    named = {"bedrock": "aws_region_name", "vertex_ai": "vertex_location"}.get(provider)
    if named or provider == "azure":
        return str((named and parameters.get(named)) or _region_of_url(parameters.get("api_base")) or UNKNOWN)
    return _region_of_url(parameters.get("api_base")) or GLOBAL


def _region_of_url(url: object) -> str | None:
    found = (pattern.search(str(url)) for pattern in REGIONS)
    return next((match[1] for match in found if match), None) or _server(url)


def _server(url: object) -> str | None:
    """Return the first word of a host's name, as of vllm-1.corp.internal, or a whole IPv4 address.

    None if it is a provider's API; Amazon's and Google's hosts have theirs by the patterns alone.
    """
    try:
        host = urlsplit(str(url)).hostname or ""
    except ValueError:  # no address at all
        return None
    if re.fullmatch(r"[\d.]+", host):
        return host
    name, _, domain = host.partition(".")
    return None if name in APIS or domain.endswith(("amazonaws.com", "googleapis.com")) else _name(name)


def _tagged_region(tags: object) -> str | None:
    regions = (str(tag).removeprefix(REGION_TAG) for tag in _list(tags) if str(tag).startswith(REGION_TAG))
    return next((found for found in regions if found != UNKNOWN), None)


def _list(tags: object) -> list[object]:
    return tags if isinstance(tags, list) else []


def _call(*parts: Part, kind: str = "call") -> Json:
    return dict.fromkeys(TEXTS, UNKNOWN) | {"provider_request_id": UNKNOWN} | _record(kind, *parts)


def _record(kind: str, *parts: Part) -> Json:
    """Put a record together, without what is None."""
    record: Json = {"kind": kind}
    for part in parts:
        try:
            record |= {name: value for name, value in part().items() if value is not None}
        except Exception:
            _log.exception("Part of a record for Datadog could not be made")
    return record


def _who(metadata: Mapping[str, Any], cost: float = 0.0) -> Json:
    spent, budget = metadata.get("user_api_key_user_spend"), metadata.get("user_api_key_user_max_budget")
    return {
        "user": metadata.get("user_api_key_user_id"),
        "team": metadata.get("user_api_key_team_alias") or metadata.get("user_api_key_team_id"),
        "key": metadata.get("user_api_key_alias"),
        "budget_used_percent": round(100 * ((spent or 0.0) + cost) / budget, 3) if budget else None,
    }


def _what(payload: Mapping[str, Any]) -> Json:
    return {
        "model": payload["model_group"] or None,
        "deployment": payload["model"] or None,
        "provider": payload["custom_llm_provider"],
        "region": _tagged_region(payload["request_tags"]) or _region_of_url(payload["api_base"]),
        "call_type": _name(payload["call_type"]),
        "call_id": _name(payload["litellm_call_id"]),
    }


def _tokens(payload: Mapping[str, Any]) -> Json:
    """Count tokens the same way for all providers: LiteLLM keeps each provider's own details beside the sums."""
    usage = payload["metadata"].get("usage_object") or {}
    prompt, completion = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    written = usage.get("cache_creation_input_tokens") or prompt.get("cache_creation_tokens")
    return {
        "prompt_tokens": payload["prompt_tokens"],
        "completion_tokens": payload["completion_tokens"],
        "total_tokens": payload["total_tokens"],
        "cached_tokens": prompt.get("cached_tokens") or usage.get("cache_read_input_tokens") or 0,
        "cache_write_tokens": written or prompt.get("cache_write_tokens") or 0,
        "reasoning_tokens": completion.get("reasoning_tokens") or 0,
        "cost": payload["response_cost"],
    }


def _saved(payload: Mapping[str, Any], saving: Saving) -> Json:
    """Tell what the provider's cache saved; nothing of an attempt that had none, so that it makes no metrics either."""
    tokens = _tokens(payload)
    return {"cache_saved": saving(payload)} if tokens["cached_tokens"] or tokens["cache_write_tokens"] else {}


def _times(payload: Mapping[str, Any], attempt: Attempt | None) -> Json:
    # Of a stream in Anthropic's format, LiteLLM measures from where the provider's answer begins.
    start = min(payload["startTime"], attempt.start) if attempt else payload["startTime"]
    first, end = payload["completionStartTime"], payload["endTime"]
    return {
        "seconds": _seconds(end - start),
        "first_token_seconds": _seconds(first - start) if payload["stream"] is True else None,
    }


def _seconds(duration: float) -> float:
    return round(duration, 6)


def _failure(error: object) -> Json:
    """Tell failures apart without their texts: the HTTP status and the class."""
    # Azure's errors have a word of Azure's as their code, LiteLLM's refusals have the status there.
    codes = (str(getattr(error, name, "")) for name in ("status_code", "code"))
    return {
        "outcome": "failure",
        "error_code": next((code for code in codes if re.fullmatch(r"[1-5]\d\d", code)), UNKNOWN),
        "error_class": type(error).__name__ if error is not None else UNKNOWN,
    }


def _name(text: object) -> str | None:
    return str(text) if text and NAME.fullmatch(str(text)) else None


def _request_id(payload: Mapping[str, Any]) -> str | None:
    """Return the provider's number of a request; if it sends none, its number of the answer.

    Bedrock's and Ollama's answers and embeddings have none: LiteLLM makes one up.
    """
    sent = payload["hidden_params"]["additional_headers"] or {}
    found = _header([{str(name).removeprefix("llm_provider-"): value for name, value in sent.items()}])
    made_up = payload["custom_llm_provider"] in UNNUMBERED or payload["id"] == payload["litellm_call_id"]
    return found or (None if made_up else _name(payload["id"]))


def _headers(error: object) -> list[Mapping[str, object]]:
    """Return the headers of a provider's error, from where LiteLLM's exceptions keep them."""
    places = (getattr(error, "litellm_response_headers", None), getattr(error, "response", None))
    found = (getattr(place, "headers", place) for place in places)
    return [{str(name).lower(): value for name, value in each.items()} for each in found if isinstance(each, Mapping)]


def _header(candidates: Sequence[Mapping[str, object]]) -> str | None:
    values = (headers.get(name) for name in REQUEST_ID_HEADERS for headers in candidates)
    return next((name for value in values if (name := _name(value))), None)
