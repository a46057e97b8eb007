"""Azure AI Foundry: what a resource answers beside OpenAI's format, and endpoints of one model.

Three formats on a resource's host: the Model Inference API below /models, Anthropic's messages below /anthropic, and
OpenAI's below /openai, which `azure` answers. An endpoint of one model (serverless) has the first alone. Formats:
Microsoft's "Azure AI Model Inference REST API" and "Deploy and use Claude models in Microsoft Foundry".

Microsoft's pages show a resource's key in the header api-key, and tokens of Entra ID as bearer: whether the Model
Inference API takes the key as bearer too is not said, and it is refused here. LiteLLM sends it so for embeddings.
"""

from __future__ import annotations

import re

from local.outside import openai_format
from local.outside.anthropic import answer_messages, check_messages, messages_target
from local.outside.azure import AzureOpenAI
from local.outside.completion import Model
from local.outside.exchange import Answer, ApiError, Request, Target, same

_RESOURCE = re.compile(r"[a-z0-9-]+\.services\.ai\.azure\.com")
_ENDPOINT = re.compile(r"[a-z0-9-]+\.[a-z0-9]+\.models\.ai\.azure\.com")
_ANTHROPIC = "/anthropic"
_PATH = re.compile(r"(?:/models|/v1)?/(?P<operation>chat/completions|embeddings)")


class AzureAI:
    """Answers for every resource of Azure AI Foundry and every endpoint of one model, with the one API key.

    Parameters
    ----------
    api_key
        That of every resource, whichever of its formats is spoken, and of every endpoint.
    openai
        Who answers for what is below /openai.
    """

    name = "azure_ai"

    def __init__(self, api_key: str, openai: AzureOpenAI) -> None:
        self._api_key = api_key
        self._openai = openai
        self._model = Model()

    def serves(self, host: str) -> bool:
        """Return whether the host is that of a resource or an endpoint."""
        return bool(_RESOURCE.fullmatch(host) or _ENDPOINT.fullmatch(host))

    def target(self, request: Request) -> Target:
        """Return the operation and the deployment."""
        if _is_openai(request):
            return self._openai.target(request)
        if _is_anthropic(request):
            return messages_target(request, _ANTHROPIC)
        match = _PATH.fullmatch(request.path)
        if request.method != "POST" or not match:
            raise ApiError(404)
        body = request.json()
        return Target(match["operation"], str(body.get("model") or ""), streamed=bool(body.get("stream")))

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call with the key in the header that its format has for it."""
        if _is_openai(request):
            return self._openai.answer(request, target)
        if _is_anthropic(request):
            if not same(request.headers.get("x-api-key") or request.headers.get("api-key") or "", self._api_key):
                raise ApiError(401)
            check_messages(request, target)
            return answer_messages(self._model, request, target)
        given = request.headers.get("api-key") if _RESOURCE.fullmatch(request.host) else request.bearer
        if not same(given or "", self._api_key):
            raise ApiError(401)
        for field in ("input",) if target.operation == "embeddings" else ("messages",):
            if field not in request.json():
                raise ApiError(400, message=f"{field}: Field required")
        return openai_format.answer_of(self._model, request, target)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return Azure's error document, whichever format it is."""
        return self._openai.error(error, retry_after_seconds)


def _is_openai(request: Request) -> bool:
    return request.path.startswith("/openai/")


def _is_anthropic(request: Request) -> bool:
    return request.path.startswith(f"{_ANTHROPIC}/")
