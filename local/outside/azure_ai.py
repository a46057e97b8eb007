"""Azure AI Foundry: what a resource answers beside OpenAI's format, and endpoints of one model.

Three formats on a resource's host: the Model Inference API below /models, Anthropic's messages below /anthropic, and
OpenAI's below /openai, which `azure` answers. An endpoint of one model (serverless) has the first alone. Formats:
Microsoft's "Azure AI Model Inference REST API" and "Deploy and use Claude models in Microsoft Foundry".

A model that reranks is Cohere's, in Cohere's format: its API reference, "Rerank" (v1 and v2), and "How does Cohere's
pricing work", search units.

Microsoft's pages show a resource's key in the header api-key, and tokens of Entra ID as bearer: whether the Model
Inference API takes the key as bearer too is not said, and it is refused here. LiteLLM sends it so for embeddings.
"""

from __future__ import annotations

import re
import uuid
from math import ceil

from local.outside import openai_format
from local.outside.anthropic import answer_messages, check_messages, messages_target
from local.outside.azure import AzureOpenAI
from local.outside.completion import Model
from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.ranking import ranked
from local.outside.records import Json

_RESOURCE = re.compile(r"[a-z0-9-]+\.services\.ai\.azure\.com")
_ENDPOINT = re.compile(r"[a-z0-9-]+\.[a-z0-9]+\.models\.ai\.azure\.com")
_ANTHROPIC = "/anthropic"
_PATH = re.compile(r"(?:/models|/v1)?/(?P<operation>chat/completions|embeddings)|/v[12]/(?P<rerank>rerank)")
_NEEDED = {"chat/completions": ("messages",), "embeddings": ("input",), "rerank": ("query", "documents")}
_DOCUMENTS = 100
"""That one search unit ranks at most, by which Cohere's models are billed."""


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
        operation = match["operation"] or match["rerank"]
        return Target(operation, str(body.get("model") or ""), streamed=bool(body.get("stream")))

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
        for field in _NEEDED[target.operation]:
            if field not in request.json():
                raise ApiError(400, message=f"{field}: Field required")
        if target.operation == "rerank":
            return _reranked(request.json())
        return openai_format.answer_of(self._model, request, target)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return Azure's error document, whichever format it is."""
        return self._openai.error(error, retry_after_seconds)


def _reranked(body: Json) -> Answer:
    documents = body["documents"]
    if not documents or not all(isinstance(each, str) for each in documents):
        raise ApiError(400, message="invalid request: documents must be a list of texts")
    found = ranked(str(body["query"]), documents, body.get("top_n"))
    units = ceil(len(documents) / _DOCUMENTS)
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": units}}
    results = [{"index": at, "relevance_score": score} for at, score in found]
    return Answer.of_json({"id": str(uuid.uuid4()), "results": results, "meta": meta})


def _is_openai(request: Request) -> bool:
    return request.path.startswith("/openai/")


def _is_anthropic(request: Request) -> bool:
    return request.path.startswith(f"{_ANTHROPIC}/")
