"""Azure OpenAI: chat completions, responses, embeddings and images of any deployment."""

from __future__ import annotations

import re
from http import HTTPStatus

from local.outside import images, openai_format
from local.outside.completion import Model
from local.outside.exchange import Answer, ApiError, Request, Target, same

_HOST = re.compile(r"[a-z0-9-]+\.(openai|cognitiveservices|services\.ai)\.azure\.com")
_PATH = re.compile(r"/openai/(?:v1|deployments/(?P<deployment>[^/]+))?/?(?P<operation>[a-z/]+)")
_OPERATIONS = {"chat/completions", "responses", "embeddings", "images/generations"}
_ERRORS = {
    400: ("BadRequest", "The request is not valid."),
    403: ("Forbidden", "Access denied due to Virtual Network/Firewall rules."),
    401: (
        "401",
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an"
        " active subscription and use a correct regional API endpoint for your resource.",
    ),
    404: ("404", "Resource not found"),
    408: ("Timeout", "The operation was timeout."),
    429: (
        "RateLimitReached",
        "Your requests have exceeded the call rate limit of your current pricing tier. Please retry later.",
    ),
    500: ("InternalServerError", "The server had an error while processing your request. Sorry about that!"),
    503: ("ServiceUnavailable", "The server is currently overloaded with other requests. Please retry later."),
}


class AzureOpenAI:
    """Answers for every resource's host, with the one API key."""

    name = "azure"

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key
        self._model = Model()

    def serves(self, host: str) -> bool:
        """Return whether the host is that of an Azure OpenAI or AI Foundry resource."""
        return _HOST.fullmatch(host) is not None

    def target(self, request: Request) -> Target:
        """Return the operation and the deployment, which is in the path or is the body's model."""
        match = _PATH.fullmatch(request.path)
        if request.method != "POST" or not match or match["operation"] not in _OPERATIONS:
            raise ApiError(404)
        body = request.json()
        model = match["deployment"] or body.get("model") or ""
        return Target(match["operation"], model, streamed=bool(body.get("stream")))

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call with a valid api-key (or, as the v1 API allows, the key as bearer token)."""
        if not same(request.headers.get("api-key") or request.bearer, self._api_key):
            raise ApiError(401)
        if "/v1/" not in request.path and "api-version" not in request.query:
            raise ApiError(404)
        if target.operation == "images/generations":
            return images.openais(request.json())
        return openai_format.answer_of(self._model, request, target, azure=True)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return Azure's error document; a 429 or 503 says when to try again."""
        code, message = _ERRORS.get(error.status, (str(error.status), HTTPStatus(error.status).phrase))
        headers = {}
        if error.status in (429, 503):
            headers = {"retry-after": str(retry_after_seconds), "retry-after-ms": str(retry_after_seconds * 1000)}
        document = {"error": {"code": error.code or code, "message": error.message or message}}
        return Answer.of_json(document, status=error.status, headers=headers)
