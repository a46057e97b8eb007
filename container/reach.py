"""Where a call goes is the gateway's to say: a request that would choose it is refused.

LiteLLM refuses what names an address or an identity (`api_base`, `aws_role_name`, `vertex_credentials` and many more:
`_BANNED_REQUEST_BODY_PARAMS` in its proxy/auth/auth_utils.py, LiteLLM 1.106.12). What chooses another provider, region
or project, or puts another credential in the place of the gateway's, it takes from the request rather than from the
entry of config.yaml (`Router._acompletion` merges what was sent over the entry). So a prompt would go to a region that
the company does not use, or to a provider that it has no contract with; and of a wrong key the provider would say 401,
for which a deployment is left out for everybody (container/faults.py).

A guardrail of Bedrock that an entry names (`guardrailConfig`) would be taken off in the same way, by a null in its
place: where one of the entries names one, no request does. And LiteLLM leaves it out of what it is asked in Anthropic's
and in Google's format (its llms/bedrock/messages and google_genai/adapters know no guardrail): there such a model
answers nobody, as whoever chose the route would choose to be without; nor does it step in for another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from fastapi import HTTPException

CHOSEN = frozenset(
    {
        *("custom_llm_provider", "specific_deployment", "litellm_credential_name"),
        *("api_key", "organization"),
        *("aws_region_name", "region_name", "aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
        *("vertex_location", "vertex_ai_location", "vertex_project", "vertex_ai_project"),
    }
)
"""Of an entry of config.yaml, what a request may not bring along."""
GUARDRAIL = "guardrailConfig"
UNGUARDED = frozenset({"anthropic_messages", "agenerate_content", "agenerate_content_stream"})
"""Of CALLS, what LiteLLM asks without an entry's guardrail."""
CALLS = frozenset(
    {
        *("acompletion", "atext_completion", "aembedding", "aresponses", "anthropic_messages"),
        *("agenerate_content", "agenerate_content_stream", "arerank", "aimage_generation", "aimage_edit"),
        *("aspeech", "atranscription", "amoderation"),
    }
)
"""What asks a model, by LiteLLM's names (`route_type` of its proxy/common_request_processing.py). Files and batches are
told their provider by LiteLLM itself, by the same name."""
INSIDE = ("extra_body", "litellm_params")
GUARDED = (
    "This model is guarded in OpenAI's formats alone (guardrailConfig): ask it at /v1/chat/completions or "
    "/v1/responses."
)
WORDS = "{} is not for a request to say: the gateway knows where it calls a model. Leave it out."
"""What a caller is told, with the parameter's name."""


def refuse(request: Mapping[str, Any], call: object, guarded: Callable[[str | None], bool]) -> None:
    """Look at a request before it is given to a deployment.

    `guarded` tells whether one of a model's deployments names a guardrail, or any at all.

    Raises
    ------
    fastapi.HTTPException
        It would choose where it goes, or what it is guarded by; 400, with what is to be left out.

    """
    if call not in CALLS:
        return
    if call in UNGUARDED and guarded(str(request.get("model"))):
        raise HTTPException(status_code=400, detail={"error": GUARDED})
    for part in _parts(request):
        for name in CHOSEN & part.keys():
            if part[name] is not None:
                raise HTTPException(status_code=400, detail={"error": WORDS.format(name)})
        if GUARDRAIL in part and guarded(None):  # also one that is null
            words = f"{GUARDRAIL} is not for a request to say: the gateway has guardrails of its own. Leave it out."
            raise HTTPException(status_code=400, detail={"error": words})


def is_left_out(request: Mapping[str, Any], deployments: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether LiteLLM would ask one of these deployments without the guardrail that it names."""
    call = getattr(request.get("litellm_logging_obj"), "call_type", None)
    return call in UNGUARDED and any(GUARDRAIL in each["litellm_params"] for each in deployments)


def _parts(request: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the request, and what LiteLLM takes parameters of a call from as well."""
    yield request
    for name in INSIDE:
        if isinstance(inside := request.get(name), Mapping):
            yield inside
    for name in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
        fallbacks = request.get(name)
        yield from (each for each in (fallbacks if isinstance(fallbacks, list) else ()) if isinstance(each, Mapping))
