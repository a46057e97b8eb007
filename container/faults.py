"""Whose fault a failed attempt is: a provider's leaves its deployment out for a while, a caller's stays with them.

LiteLLM's own rule goes by the status alone: one 404 leaves a deployment out for 30 s, also the only one of a model, for
everybody, and a caller can have a 404 whenever they like (an operation that the model has not, a file that is not
there); the failed request then goes to the fallback, and leaves that out too. `cooldown_time` in a request's body says
for how long. (`router_utils/cooldown_handlers.py`, LiteLLM 1.106.12.) So config.yaml turns that rule off with
`router_settings.disable_cooldowns`, and this one decides; what then is left out, LiteLLM's Router keeps and obeys.

- After 429, and after 401 and 402, which are about the gateway's own credentials, a deployment is left out at once.
- After 403, 404, 408, 5xx, and an answer that LiteLLM cannot read, it is left out if more than half of at least five
  requests in a minute ended so there, and they were of two callers at least: one can have all of these alone.
- It stays after any other 4xx, after a time-out that the caller has set, and where there was no answer at all: that is
  LiteLLM's APIConnectionError, which it also makes of a request that it cannot read.

The last deployment of a model is never left out: nothing else could answer, and one prompt that is too long for a quota
has 429 in every region. For how long is `cooldown_time` of the entry, or the provider's Retry-After up to five minutes,
or `router_settings.cooldown_time`.

A request that a provider has found wrong (400, 413, 422, its filter) is wrong for another model too, and its caller's
to mend: it goes to no fallback of the model. Too long a prompt does, since another model may take it; so does what a
filter has stopped, where config.yaml has `content_policy_fallbacks`.

A request that would choose where it goes is a mistake too, and refused before any attempt (container/reach.py).

config.yaml names `faults.attributed` as a callback; LiteLLM imports this module from the folder of the file. Nothing
else of it may keep a request from being answered. LITELLM_WORKER_STARTUP_HOOKS names `faults:begin`, which LiteLLM
calls in each worker when it starts.
"""

from __future__ import annotations

import fnmatch
import functools
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import litellm
import reach
import routing
from litellm.integrations.custom_logger import CustomLogger
from litellm.router_utils.router_callbacks.track_deployment_metrics import get_deployment_successes_for_current_minute

AT_ONCE = frozenset({429, 401, 402})
IN_DOUBT = frozenset({403, 404, 408})
WINDOW_SECONDS = 60.0
# As LiteLLM's own DEFAULT_FAILURE_THRESHOLD_MINIMUM_REQUESTS and DEFAULT_FAILURE_THRESHOLD_PERCENT.
FEWEST_ATTEMPTS = 5
MOST_FAILED = 0.5
FEWEST_CALLERS = 2
# The most that a provider's Retry-After counts for. Of a quota of the day it is hours, in which the quota may be raised
# or others' use may end; to ask again after five minutes costs one more 429, which another region makes good. LiteLLM
# itself and the SDKs obey no more than 60 s where a caller waits (`_calculate_retry_after` in litellm/utils.py).
LONGEST_SECONDS = 300.0
# The names of LiteLLM's errors about the request itself (litellm/exceptions.py).
MISTAKES = frozenset(
    {
        *("BadRequestError", "InvalidRequestError", "UnsupportedParamsError", "UnprocessableEntityError"),
        *("ImageFetchError", "LiteLLMUnknownProvider", "RejectedRequestError", "ContentPolicyViolationError"),
    }
)
FILTERED = "ContentPolicyViolationError"
# What Anthropic says with 400 where nobody has paid (its API's "Errors"): no mistake of the caller's.
UNPAID = "credit balance"
# What LiteLLM says with 422, or with the provider's own status, of an answer that it cannot read, as a proxy's page.
UNREADABLE = re.compile(r"converting to valid response block|Unable to get json response")

_log = logging.getLogger("LiteLLM")


def begin() -> None:
    """Have a provider's failure stay what it is where LiteLLM asks for a chat completion to generate content.

    LiteLLM makes a ValueError with its words of it, and so a 500 of whatever it was: a caller's mistake, or a quota
    that is used up (`async_generate_content_handler` in its google_genai/adapters/handler.py).
    """
    from litellm.google_genai.adapters.handler import GenerateContentToCompletionHandler as Bridge

    wrapping = Bridge.async_generate_content_handler

    @functools.wraps(wrapping)
    async def unwrapped(*args: Any, **parameters: Any) -> Any:  # noqa: ANN401 - LiteLLM's
        try:
            return await wrapping(*args, **parameters)
        except ValueError as error:
            raise (error.__context__ or error) from None

    Bridge.async_generate_content_handler = staticmethod(unwrapped)


class Attributed(CustomLogger):
    """Leaves out deployments for what their providers say of themselves, for nothing else."""

    def __init__(self) -> None:
        super().__init__()
        # Of a deployment, the requests that have failed there: when, and whose they were. A retry is the same request.
        self._failures: dict[str, dict[str, tuple[float, str]]] = {}

    async def async_pre_call_hook(
        self, user_api_key_dict: object, cache: object, data: Mapping[str, Any], call_type: object
    ) -> None:
        """Refuse a request that would choose where it goes, or what it is guarded by.

        Raises
        ------
        fastapi.HTTPException
            It would.

        """
        reach.refuse(data, call_type, _is_guarded)

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, Any],
        exception: Exception,
        call_type: object,
        fallback_depth: int | None = None,
    ) -> None:
        """Look at an attempt that has failed; LiteLLM calls this for each, also of a retry and of a fallback."""
        try:
            await self._attribute(request_data, exception)
        except Exception:
            _log.exception("Whose fault a failed attempt is could not be found out")

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[Any],
        messages: object,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: object = None,
    ) -> list[Any]:
        """Return the deployments as they are, but none of a fallback for a request that is wrong or would be unguarded.

        Raises
        ------
        litellm.BadRequestError
            There, which LiteLLM takes for the fallback's failure: the caller gets the first one's.

        """
        request = request_kwargs or {}
        words = None
        if is_mistaken(model, request):
            words = "The request is wrong, and goes to no other model."
        elif reach.is_left_out(request, healthy_deployments):
            words = reach.GUARDED
        if words:
            raise litellm.BadRequestError(message=words, model=model, llm_provider="")
        return healthy_deployments

    async def _attribute(self, request: Mapping[str, Any], error: Exception) -> None:
        router, status = routing.router(), getattr(error, "status_code", None)
        deployment = (request.get("model_info") or {}).get("id")
        if router is None or not isinstance(status, int) or not isinstance(deployment, str):
            return
        if not _is_of(router, deployment, request) or not await _has_others(router, deployment):
            return
        if status in AT_ONCE or (_is_in_doubt(status, request, error) and self._is_common(router, deployment, request)):
            seconds = _seconds(router, deployment, error)
            router.cooldown_cache.add_deployment_to_cooldown(
                model_id=deployment, original_exception=error, exception_status=status, cooldown_time=seconds
            )
            _log.warning("Left out for %s s after %s: %s", seconds, status, deployment)

    def _is_common(self, router: Any, deployment: str, request: Mapping[str, Any]) -> bool:  # noqa: ANN401
        """Note a failure; return whether the deployment fails so often, and for so many, that it is its own fault."""
        now = time.monotonic()
        for name, found in list(self._failures.items()):
            self._failures[name] = {each: past for each, past in found.items() if past[0] + WINDOW_SECONDS > now}
            if not self._failures[name]:
                del self._failures[name]
        failed = self._failures.setdefault(deployment, {})
        failed[str(request.get("litellm_call_id"))] = (now, _caller(request))
        attempts = len(failed) + get_deployment_successes_for_current_minute(router, deployment)
        return (
            attempts >= FEWEST_ATTEMPTS
            and len(failed) / attempts > MOST_FAILED
            and len({caller for _, caller in failed.values()}) >= FEWEST_CALLERS
        )


def is_mistaken(model: str, request: Mapping[str, Any]) -> bool:
    """Return whether a request comes to this model because another one has found it wrong.

    LiteLLM notes each attempt that has failed, with the class of its error, before it asks for another deployment.
    """
    attempts = [attempt for notes in _notes(request) for attempt in notes.get("previous_models") or ()]
    last = attempts[-1] if attempts else None
    if not isinstance(last, Mapping) or last.get("model_group") in (None, model):
        return False
    kind, words = last.get("exception_type"), str(last.get("exception_string"))
    if kind == FILTERED and getattr(routing.router(), "content_policy_fallbacks", None) is not None:
        return False
    return kind in MISTAKES and UNPAID not in words and not UNREADABLE.search(words)


def _is_guarded(model: str | None) -> bool:
    """Return whether a deployment names a guardrail of Bedrock: of a model, by any of its names, or at all."""
    router = routing.router()
    guarded = [each for each in router.model_list if reach.GUARDRAIL in each["litellm_params"]]
    if model is None or not guarded:
        return bool(guarded)
    alias = (router.model_group_alias or {}).get(model)
    asked = {model, alias.get("model") if isinstance(alias, dict) else alias}
    return any(asked & {each["model_name"], *_names(each.get("model_info") or {})} for each in guarded)


def _names(info: Mapping[str, Any]) -> Iterator[Any]:
    yield from (info[name] for name in ("id", "team_public_model_name") if name in info)


def _is_of(router: Any, deployment: str, request: Mapping[str, Any]) -> bool:  # noqa: ANN401
    """Return whether a request was this deployment's: where no Router chose one, the body may name any."""
    entry = router.get_deployment(model_id=deployment)
    return entry is not None and fnmatch.fnmatchcase(str(request.get("model")), entry.litellm_params.model)


async def _has_others(router: Any, deployment: str) -> bool:  # noqa: ANN401
    """Return whether another deployment of the model can answer, one that is not left out itself."""
    others = {each["model_info"]["id"] for each in router.get_model_group(id=deployment) or ()} - {deployment}
    out = await router.cooldown_cache.async_get_active_cooldowns(model_ids=sorted(others), parent_otel_span=None)
    return bool(others.difference(name for name, _ in out))


def _is_in_doubt(status: int, request: Mapping[str, Any], error: Exception) -> bool:
    if status == 408 and request.get("client_side_timeout"):
        return False
    if UNREADABLE.search(str(error)):
        return True
    return (status in IN_DOUBT or status >= 500) and "APIConnectionError" not in str(error)


def _caller(request: Mapping[str, Any]) -> str:
    """Return whose request it is: a person with all of their keys, or else a key."""
    for name in ("user_api_key_user_id", "user_api_key_hash"):
        for notes in _notes(request):
            if notes.get(name):
                return str(notes[name])
    return ""


def _notes(request: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [found for name in ("litellm_metadata", "metadata") if isinstance(found := request.get(name), Mapping)]


def _seconds(router: Any, deployment: str, error: Exception) -> float:  # noqa: ANN401
    entry = router.get_model_info(id=deployment) or {}
    for part in ("model_info", "litellm_params"):
        if (own := (entry.get(part) or {}).get("cooldown_time")) is not None:
            return float(own)
    headers = getattr(error, "litellm_response_headers", None) or getattr(
        getattr(error, "response", None), "headers", None
    )
    try:
        asked = float((headers or {}).get("retry-after", ""))
    except (TypeError, ValueError):  # there is none, or it is a date
        asked = 0.0
    return min(asked, LONGEST_SECONDS) if asked > 0 else float(router.cooldown_time)


attributed = Attributed()
