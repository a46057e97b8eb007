"""The Gemini API of Google AI Studio: content, counts and embeddings, with a key and no service account.

Formats: the Gemini API's reference; its guide "Troubleshooting". Which models there are is LiteLLM's list
(`price_list`).
"""

from __future__ import annotations

import re

from local.outside.completion import count_tokens, embedding, join_texts
from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.gemini_format import content_answer, error_answer, field, gemini_prompt
from local.outside.own_api import OwnApi
from local.outside.price_list import mode_of
from local.outside.records import Json, Usage

HOST = "generativelanguage.googleapis.com"
_PATH = re.compile(
    r"/(?P<version>v1|v1beta|v1alpha)/models/(?P<model>[^/:]+)"
    r":(?P<operation>generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents)"
)
# What generateContent takes, in camelCase: API reference, "Generating content", request body. Vertex AI's `labels` is
# not among it.
_FIELDS = frozenset(
    {
        *("cachedContent", "contents", "generationConfig", "model", "safetySettings", "serviceTier", "store"),
        *("systemInstruction", "toolConfig", "tools"),
    }
)
_DIMENSIONS = 3072
_INVALID = "API key not valid. Please pass a valid API key."
_REASON: Json = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": HOST},
}


class GeminiApi(OwnApi):
    """Answers for generativelanguage.googleapis.com, with the one API key."""

    name = "gemini"
    hosts = (HOST,)

    def target(self, request: Request) -> Target:
        """Return the method and the model."""
        match = _PATH.fullmatch(request.path)
        if request.method != "POST" or not match:
            raise ApiError(404)
        operation = match["operation"]
        return Target(operation, match["model"], streamed=operation == "streamGenerateContent")

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call with the key in the header x-goog-api-key or in the address."""
        given = request.headers.get("x-goog-api-key") or request.query.get("key") or ""
        if not given:
            message = "Method doesn't allow unregistered callers. Please use API Key to call this API."
            raise ApiError(403, message=message)
        if not same(given, self._api_key):
            raise ApiError(400, message=_INVALID)
        self._check_model(request, target)
        body = request.json()
        if target.operation == "countTokens":
            asked = field(body, "generateContentRequest") or body
            return Answer.of_json({"totalTokens": count_tokens(gemini_prompt(target.model, asked).text)})
        if target.operation == "embedContent":
            vectors, usage = _embeddings([body])
            return Answer.of_json({"embedding": vectors[0]}, usage=usage)
        if target.operation == "batchEmbedContents":
            vectors, usage = _embeddings(body["requests"])
            return Answer.of_json({"embeddings": vectors}, usage=usage)
        for name in sorted(body):
            if re.sub(r"_([a-z])", lambda match: match[1].upper(), name) not in _FIELDS:
                message = f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
                raise ApiError(400, message=message)
        if not body.get("contents"):
            raise ApiError(400, message="* GenerateContentRequest.contents: contents is not specified\n")
        return content_answer(self._model, request, target, traffic=False)

    def _check_model(self, request: Request, target: Target) -> None:
        mode = mode_of(self.name, target.model)
        embeds = target.operation in ("embedContent", "batchEmbedContents")
        if mode is None or (target.operation != "countTokens" and embeds != (mode == "embedding")):
            version = request.path.split("/")[1]
            message = (
                f"models/{target.model} is not found for API version {version}, or is not supported for "
                f"{target.operation}. Call ListModels to see the list of available models and their supported methods."
            )
            raise ApiError(404, message=message)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # Google sends none
        """Return Google's error document; of a wrong key it tells the reason apart."""
        return error_answer(error, [_REASON] if error.message == _INVALID else None)


def _embeddings(requests: list[Json]) -> tuple[list[Json], Usage]:
    texts = [join_texts([request["content"]]) for request in requests]
    vectors = [
        {"values": embedding(text, field(request, "outputDimensionality") or _DIMENSIONS)}
        for text, request in zip(texts, requests, strict=True)
    ]
    return vectors, Usage(sum(count_tokens(text) for text in texts))
