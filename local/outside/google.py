"""Google: the OAuth token endpoint and Vertex AI's models: Gemini, embeddings, and those of partners.

Formats: Google's "Using OAuth 2.0 for Server to Server Applications" and the REST reference of Vertex AI. Claude speaks
Anthropic's Messages API there, the other partners' models OpenAI's chat.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local.outside import openai_format
from local.outside.anthropic_format import messages_answer, messages_prompt, messages_stream
from local.outside.completion import (
    JSON_MODE,
    Completion,
    Model,
    Prompt,
    Tool,
    count_tokens,
    embedding,
    join_texts,
    own_text,
    result_text,
)
from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.prompt_cache import implicit_prefix
from local.outside.records import Json, Usage
from local.outside.told import Event, Turn

TOKEN_HOST = "oauth2.googleapis.com"  # noqa: S105  # a host
TOKEN_SECONDS = 3600
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_HOST = re.compile(r"(?:[a-z]+-[a-z]+\d+-)?aiplatform\.googleapis\.com|aiplatform\.(?:us|eu)\.rep\.googleapis\.com")
_PATH = re.compile(
    r"/v1(?:beta1)?/projects/[^/]+/locations/(?P<location>[^/]+)/publishers/google/models/(?P<model>[^/:]+)"
    r":(?P<operation>generateContent|streamGenerateContent|countTokens|predict|embedContent)"
)
_PARTNERS = re.compile(
    r"/v1(?:beta1)?/projects/[^/]+/locations/(?P<location>[^/]+)/(?:publishers/(?P<publisher>[a-z0-9]+)/models/"
    r"(?P<model>[^/:]+):(?P<operation>rawPredict|streamRawPredict)|endpoints/openapi/chat/completions)"
)
# Claude's tokens are counted under a name of their own, of the model in the body, and in these locations only.
# https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/partner-models/claude/count-tokens
_COUNTER = "count-tokens"
_COUNTING = frozenset({"us-east5", "europe-west1", "asia-southeast1"})
_ERRORS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: (
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid"
        " authentication credential.",
    ),
    403: ("PERMISSION_DENIED", "Permission denied on resource project."),
    404: ("NOT_FOUND", "The requested entity was not found."),
    429: ("RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "Internal error encountered."),
    503: ("UNAVAILABLE", "The service is currently unavailable."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}


class GoogleAccount:
    """A service account, by its JSON file: the assertions that it signed are exchanged for access tokens.

    A token carries its end and a keyed digest of it, so that tokens stay valid when the outside world restarts.
    """

    def __init__(self, credentials: str) -> None:
        self._account: dict[str, str] = json.loads(credentials)
        key = serialization.load_pem_private_key(self._account["private_key"].encode(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("The Google service account's private_key must be an RSA key.")
        self._public_key = key.public_key()

    def exchange(self, assertion: str) -> str:
        """Return an access token for an assertion; ApiError if it is not signed by this account, or not in order."""
        self._check(assertion)
        return self._token(int(time.time()) + TOKEN_SECONDS)

    def accepts(self, token: str) -> bool:
        """Return whether an access token is one of this account's and has not expired."""
        parts = token.split(".")
        return (
            len(parts) == 3
            and parts[1].isdecimal()
            and int(parts[1]) > time.time()
            and same(token, self._token(int(parts[1])))
        )

    def _token(self, expiry: int) -> str:
        digest = hmac.new(self._account["private_key"].encode(), str(expiry).encode(), hashlib.sha256).hexdigest()
        return f"ya29.{expiry}.{digest}"

    def _check(self, assertion: str) -> None:
        signed, _, signature = assertion.rpartition(".")
        try:
            header, claims = (json.loads(_unpadded(part)) for part in signed.split("."))
        except ValueError as error:
            raise ApiError(400, code="invalid_grant", message="Invalid JWT: Failed to parse.") from error
        try:
            self._public_key.verify(_unpadded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError) as error:
            raise ApiError(400, code="invalid_grant", message="Invalid JWT Signature.") from error
        if problem := self._problem(header, claims):
            raise ApiError(400, code="invalid_grant", message=problem)

    def _problem(self, header: Json, claims: Json) -> str:
        now = time.time()
        if header.get("alg") != "RS256":
            return "Invalid JWT: the algorithm must be RS256."
        if claims.get("iss") != self._account["client_email"]:
            return "Invalid grant: account not found"
        if claims.get("aud") != self._account["token_uri"]:
            return "Invalid JWT: the audience must be the token endpoint."
        if not now - 2 * TOKEN_SECONDS < claims["iat"] <= now + 600 or not now < claims["exp"] <= claims["iat"] + 3600:
            return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
        if _SCOPE not in str(claims.get("scope", "")).split():
            return "Invalid OAuth scope or ID token audience provided."
        return ""


class GoogleTokens:
    """Answers for the token endpoint, to several service accounts."""

    name = "google-token"

    def __init__(self, *accounts: GoogleAccount) -> None:
        self._accounts = accounts

    def serves(self, host: str) -> bool:
        """Return whether the host is the token endpoint's."""
        return host == TOKEN_HOST

    def target(self, request: Request) -> Target:
        """Return the one operation there is."""
        if (request.method, request.path) != ("POST", "/token"):
            raise ApiError(404)
        return Target("token")

    def answer(self, request: Request, target: Target) -> Answer:  # there is but one operation
        """Exchange an assertion that one of the accounts signed for an access token."""
        form = parse_qs(request.body.decode())
        if form.get("grant_type") != [_GRANT]:
            raise ApiError(400, code="unsupported_grant_type", message="Invalid grant_type")
        token = self._exchange(form.get("assertion", [""])[0])
        return Answer.of_json({"access_token": token, "expires_in": TOKEN_SECONDS - 1, "token_type": "Bearer"})

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # Google sends none
        """Return an OAuth error."""
        code = error.code or ("invalid_request" if error.status < 500 else "internal_failure")
        return Answer.of_json({"error": code, "error_description": error.message or code}, status=error.status)

    def _exchange(self, assertion: str) -> str:
        """Return a token of the first account that takes the assertion; if none does, the last one says why."""
        *others, last = self._accounts
        for account in others:
            with suppress(ApiError):
                return account.exchange(assertion)
        return last.exchange(assertion)


class VertexAI:
    """Answers for Vertex AI's regional, multi-regional and global hosts, to bearers of the token endpoint's tokens."""

    name = "vertex_ai"

    def __init__(self, account: GoogleAccount) -> None:
        self._account = account
        self._model = Model()

    def serves(self, host: str) -> bool:
        """Return whether the host is one of Vertex AI's."""
        return _HOST.fullmatch(host) is not None

    def target(self, request: Request) -> Target:
        """Return the method, the model and the location."""
        path = unquote(request.path)
        if request.method == "POST" and (match := _PATH.fullmatch(path)):
            operation = match["operation"]
            return Target(operation, match["model"], match["location"], streamed=operation == "streamGenerateContent")
        if request.method == "POST" and (match := _PARTNERS.fullmatch(path)):
            body = request.json()
            model, operation = match["model"] or body.get("model", ""), match["operation"] or "chat/completions"
            if model == _COUNTER:
                model, operation = body.get("model", ""), _COUNTER
            return Target(operation, model, match["location"], streamed=bool(body.get("stream")))
        raise ApiError(404)

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call with a valid bearer token."""
        if not self._account.accepts(request.bearer):
            raise ApiError(401)
        body = request.json()
        if target.operation == "predict":
            return _predict(target.model, body)
        if target.operation == "embedContent":
            return _embed_content(body)
        if target.operation == "countTokens":
            return Answer.of_json({"totalTokens": count_tokens(_gemini_prompt(target.model, body).text)})
        if target.operation == _COUNTER:
            if target.region not in _COUNTING or "/publishers/anthropic/" not in request.path:
                raise ApiError(404)
            return Answer.of_json({"input_tokens": count_tokens(messages_prompt(target.model, body).text)})
        if target.operation in ("rawPredict", "streamRawPredict", "chat/completions"):
            return self._partners(request, target, body)
        prompt = _gemini_prompt(target.model, body)
        completion, usage = self._model.answer(request.host, prompt)
        if not target.streamed:
            parts = [*_thought_parts(completion), _answer_part(completion)]
            return Answer.of_json(_content(prompt, completion, usage, parts), usage=usage)
        return _stream(prompt, completion, usage, sse=request.query.get("alt") == "sse")

    def _partners(self, request: Request, target: Target, body: Json) -> Answer:
        """Answer in the format of the model's maker."""
        claude = "/publishers/anthropic/" in request.path
        prompt = messages_prompt(target.model, body) if claude else openai_format.chat_prompt(target.model, body)
        completion, usage = self._model.answer(request.host, prompt)
        if claude:
            answer = messages_stream if target.streamed else messages_answer
            return answer(prompt, completion, usage)
        return openai_format.chat_answer(prompt, completion, usage, body, azure=False)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # Google sends none
        """Return Google's error document."""
        status, message = _ERRORS.get(error.status, ("UNKNOWN", HTTPStatus(error.status).phrase))
        document = {"code": error.status, "message": error.message or message, "status": error.code or status}
        return Answer.of_json({"error": document}, status=error.status)


def _gemini_prompt(model: str, body: Json) -> Prompt:
    """Read a generateContent request; Google takes field names in camelCase and in snake_case."""
    contents = body["contents"]
    text = join_texts([_field(body, "systemInstruction") or [], *contents])
    tools = [tool for group in body.get("tools") or [] for tool in _field(group, "functionDeclarations") or []]
    calling = _field(_field(body, "toolConfig") or {}, "functionCallingConfig") or {}
    generation = _field(body, "generationConfig") or {}
    thinking = _field(generation, "thinkingConfig")
    return Prompt(
        model=model,
        text=text,
        turn=Turn.of(_steps(contents)),
        tools=tuple(_tool(tool) for tool in tools if calling.get("mode") != "NONE"),
        forced_tool=_forced(calling, tools),
        max_tokens=_field(generation, "maxOutputTokens"),
        prefixes=implicit_prefix(text),
        images=sum(_is_image(part) for content in contents for part in content["parts"]),
        thinks=thinking is not None and _field(thinking, "thinkingBudget") != 0,
        schema=_schema(generation),
    )


def _steps(contents: list[Json]) -> Iterator[Event]:
    for content in contents:
        parts = content["parts"]
        if content.get("role", "user") == "model":
            yield "called" if any(_field(part, "functionCall") for part in parts) else "answered", ""
            continue
        for part in parts:
            if given := _field(part, "functionResponse"):
                yield "result", result_text(given["response"])
        yield "asked", own_text(parts)


def _tool(declared: Json) -> Tool:
    """Return a declared function, refused as Google does: "Function calling", FunctionDeclaration."""
    name, schema = declared["name"], declared.get("parameters") or _field(declared, "parametersJsonSchema") or {}
    if not re.fullmatch(r"[a-zA-Z_][\w.:-]{0,63}", name):
        message = (
            "Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9),"
            " underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64."
        )
        raise ApiError(400, message=message)
    if schema and not {"type", "anyOf", "any_of", "$ref"} & schema.keys():
        message = f"Unable to submit request because `{name}` functionDeclaration `parameters` schema didn't specify"
        raise ApiError(400, message=f"{message} the schema type field.")
    return Tool(name, schema)


def _forced(calling: Json, tools: list[Json]) -> str:
    """Return the function that has to be called, "*" for any; as Google does, refuse one that is not declared."""
    if calling and not tools:
        raise ApiError(400, message="Function calling config is set without function_declarations.")
    allowed = _field(calling, "allowedFunctionNames") or ["*"]
    if not {"*", *(tool["name"] for tool in tools)} >= set(allowed):
        message = "allowed_function_names should be a subset of the provided function_declarations"
        raise ApiError(400, message=message)
    return str(allowed[0]) if calling.get("mode") == "ANY" else ""


def _schema(generation: Json) -> Json | None:
    """Return the schema that the answer has to fit: REST reference, `GenerationConfig`."""
    as_json = _field(generation, "responseMimeType") == "application/json"
    schemas = [found for name in ("responseSchema", "responseJsonSchema") if (found := _field(generation, name))]
    if len(schemas) > 1:
        raise ApiError(400, message="response_schema must be omitted when response_json_schema is set.")
    if schemas and not as_json:
        message = "response_mime_type must be set to `application/json` when a response schema is set."
        raise ApiError(400, message=message)
    return schemas[0] if schemas else JSON_MODE if as_json else None


def _is_image(part: Json) -> bool:
    media = _field(part, "inlineData") or _field(part, "fileData") or {}
    return str(_field(media, "mimeType")).startswith("image/")


def _field(body: Json, name: str) -> Any:  # noqa: ANN401  # any JSON value
    return body.get(name, body.get(re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)))


def _answer_part(completion: Completion) -> Json:
    if call := completion.tool_call:
        return {"functionCall": {"name": call.name, "args": call.arguments}}
    return {"text": completion.text}


def _thought_parts(completion: Completion) -> list[Json]:
    return [{"text": completion.thoughts, "thought": True}] if completion.thoughts else []


def _content(prompt: Prompt, completion: Completion, usage: Usage | None, parts: list[Json]) -> Json:
    """Return a GenerateContentResponse: the whole, or one chunk of a stream, of which only the last has `usage`."""
    candidate: Json = {"index": 0, "content": {"role": "model", "parts": parts}}
    answer: Json = {
        "candidates": [candidate],
        "modelVersion": prompt.model,
        "createTime": "2026-01-01T00:00:00.000000Z",
        "responseId": completion.id,
    }
    if usage:
        candidate["finishReason"] = "MAX_TOKENS" if completion.finish == "length" else "STOP"
        answer["usageMetadata"] = _usage_metadata(usage)
    return answer


def _stream(prompt: Prompt, completion: Completion, usage: Usage, *, sse: bool) -> Answer:
    # Gemini sends a function call whole, never in pieces.
    answer = [_answer_part(completion)] if completion.tool_call else [{"text": piece} for piece in completion.chunks()]
    parts = [*_thought_parts(completion), *answer]
    chunks = [
        json.dumps(_content(prompt, completion, usage if number == len(parts) else None, [part]))
        for number, part in enumerate(parts, start=1)
    ]
    if sse:
        return Answer(
            200, {"content-type": "text/event-stream"}, [f"data: {c}\r\n\r\n".encode() for c in chunks], usage
        )
    body = [f"{'[' if index == 0 else ','}{chunk}\n".encode() for index, chunk in enumerate(chunks)]
    return Answer(200, {"content-type": "application/json"}, [*body, b"]"], usage)


def _usage_metadata(usage: Usage) -> Json:
    """Return the counts as Gemini gives them: `candidatesTokenCount` without the thoughts."""

    def details(text_tokens: int, image_tokens: int = 0) -> list[Json]:
        counts = (("TEXT", text_tokens), ("IMAGE", image_tokens))
        return [{"modality": modality, "tokenCount": tokens} for modality, tokens in counts if tokens]

    answer = usage.output_tokens - usage.reasoning_tokens
    metadata: Json = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": answer,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
        "trafficType": "ON_DEMAND",
        "promptTokensDetails": details(usage.input_tokens - usage.image_tokens, usage.image_tokens),
        "candidatesTokensDetails": details(answer),
    }
    if usage.reasoning_tokens:
        metadata["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cached_tokens:
        metadata["cachedContentTokenCount"] = usage.cached_tokens
        metadata["cacheTokensDetails"] = details(usage.cached_tokens)
    return metadata


def _predict(model: str, body: Json) -> Answer:
    dimensions = body.get("parameters", {}).get("outputDimensionality") or _dimensions(model)
    predictions, total, characters = [], 0, 0
    for instance in body["instances"]:
        text = instance["content"]
        tokens = count_tokens(text)
        statistics = {"truncated": False, "token_count": tokens}
        predictions.append({"embeddings": {"values": embedding(text, dimensions), "statistics": statistics}})
        total += tokens
        characters += len("".join(text.split()))
    answer = {"predictions": predictions, "metadata": {"billableCharacterCount": characters}}
    return Answer.of_json(answer, usage=Usage(total))


def _embed_content(body: Json) -> Answer:
    text = join_texts([body["content"]])
    usage = Usage(count_tokens(text))
    answer = {
        "embedding": {"values": embedding(text, _field(body, "outputDimensionality") or 3072)},
        "usageMetadata": {"promptTokenCount": usage.input_tokens, "totalTokenCount": usage.input_tokens},
    }
    return Answer.of_json(answer, usage=usage)


def _dimensions(model: str) -> int:
    return 3072 if model.startswith("gemini-embedding") else 768


def _unpadded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
