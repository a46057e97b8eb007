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
from contextlib import suppress
from urllib.parse import parse_qs, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local.outside import openai_format
from local.outside.anthropic_format import messages_answer, messages_prompt, messages_stream
from local.outside.completion import Model, count_tokens, embedding
from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.gemini_format import content_answer, embed_content_answer, error_answer, gemini_prompt
from local.outside.records import Json, Usage

TOKEN_HOST = "oauth2.googleapis.com"  # noqa: S105  # a host
TOKEN_SECONDS = 3600
# How far a signer's clock may be before Google's. It names no number: we take what AWS allows.
AHEAD_SECONDS = 300
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


class GoogleAccount:
    """A service account, by its JSON file: the assertions that it signed are exchanged for access tokens.

    A token carries its end and a keyed digest of it, so that tokens stay valid when the outside world restarts.
    """

    def __init__(self, credentials: str) -> None:
        self._account: dict[str, str] = json.loads(credentials)
        key = serialization.load_pem_private_key(
            self._account["private_key"].encode(),
            password=None,
            unsafe_skip_rsa_key_validation=True,  # it takes a while, and this machine has made the key
        )
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("The Google service account's private_key must be an RSA key.")
        self._public_key = key.public_key()

    def exchange(self, assertion: str, now: float) -> str:
        """Return an access token for an assertion; ApiError if it is not signed by this account, or not in order.

        `now` is the time by the token endpoint's clock, in seconds since 1970.
        """
        self._check(assertion, now)
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

    def _check(self, assertion: str, now: float) -> None:
        signed, _, signature = assertion.rpartition(".")
        try:
            header, claims = (json.loads(_unpadded(part)) for part in signed.split("."))
        except ValueError as error:
            raise ApiError(400, code="invalid_grant", message="Invalid JWT: Failed to parse.") from error
        try:
            self._public_key.verify(_unpadded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError) as error:
            raise ApiError(400, code="invalid_grant", message="Invalid JWT Signature.") from error
        if problem := self._problem(header, claims, now):
            raise ApiError(400, code="invalid_grant", message=problem)

    def _problem(self, header: Json, claims: Json, now: float) -> str:
        if header.get("alg") != "RS256":
            return "Invalid JWT: the algorithm must be RS256."
        if claims.get("iss") != self._account["client_email"]:
            return "Invalid grant: account not found"
        if claims.get("aud") != self._account["token_uri"]:
            return "Invalid JWT: the audience must be the token endpoint."
        lasts = now < claims["exp"] <= claims["iat"] + TOKEN_SECONDS
        if not lasts or not now - 2 * TOKEN_SECONDS < claims["iat"] <= now + AHEAD_SECONDS:
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
        token = self._exchange(form.get("assertion", [""])[0], request.now)
        return Answer.of_json({"access_token": token, "expires_in": TOKEN_SECONDS - 1, "token_type": "Bearer"})

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # Google sends none
        """Return an OAuth error."""
        code = error.code or ("invalid_request" if error.status < 500 else "internal_failure")
        return Answer.of_json({"error": code, "error_description": error.message or code}, status=error.status)

    def _exchange(self, assertion: str, now: float) -> str:
        """Return a token of the first account that takes the assertion; if none does, the last one says why."""
        *others, last = self._accounts
        for account in others:
            with suppress(ApiError):
                return account.exchange(assertion, now)
        return last.exchange(assertion, now)


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
            return embed_content_answer(body)
        if target.operation == "countTokens":
            return Answer.of_json({"totalTokens": count_tokens(gemini_prompt(target.model, body).text)})
        if target.operation == _COUNTER:
            if target.region not in _COUNTING or "/publishers/anthropic/" not in request.path:
                raise ApiError(404)
            return Answer.of_json({"input_tokens": count_tokens(messages_prompt(target.model, body).text)})
        if target.operation in ("rawPredict", "streamRawPredict", "chat/completions"):
            return self._partners(request, target, body)
        return content_answer(self._model, request, target, traffic=True)

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
        return error_answer(error)


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


def _dimensions(model: str) -> int:
    return 3072 if model.startswith("gemini-embedding") else 768


def _unpadded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
