"""Amazon Bedrock's endpoint bedrock-mantle: what LiteLLM calls of it, Anthropic's count_tokens.

Formats: Anthropic's API reference, "Count tokens in a Message"; Bedrock's user guide, "Count tokens using the
bedrock-mantle endpoint".
"""

from __future__ import annotations

import re
import uuid
from http import HTTPStatus

from local.outside.anthropic_format import messages_prompt
from local.outside.bedrock import check_signature, regions
from local.outside.completion import count_tokens
from local.outside.exchange import Answer, ApiError, Request, Target
from local.outside.permissions import ACCOUNT, Permissions

_HOST = re.compile(r"bedrock-mantle\.([a-z0-9-]+)\.api\.aws")
_PATH = "/anthropic/v1/messages/count_tokens"
# A request to count has none of what only an answer has: the schema of Anthropic's refuses them.
_FIELDS = frozenset(
    {"cache_control", "messages", "model", "output_config", "system", "thinking", "tool_choice", "tools"}
)
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


class BedrockMantle:
    """Counts the tokens of a call of any of Anthropic's models, in every region that has a Bedrock.

    Parameters
    ----------
    permissions
        Of those who call; if not given, whoever signs may do everything.
    """

    name = "bedrock-mantle"

    def __init__(self, permissions: Permissions | None = None) -> None:
        self._permissions = permissions or Permissions()

    def serves(self, host: str) -> bool:
        """Return whether the host is the endpoint of a region that has one."""
        match = _HOST.fullmatch(host)
        return match is not None and match[1] in regions()

    def target(self, request: Request) -> Target:
        """Return the operation, the model id, and the region."""
        if request.method != "POST" or request.path != _PATH:
            raise ApiError(404, message="Not found")
        return Target("count_tokens", str(request.json().get("model", "")), request.host.split(".")[1])

    def answer(self, request: Request, target: Target) -> Answer:
        """Count for one call that is signed for this region and for the service bedrock, as LiteLLM signs it."""
        check_signature(request, target.region)
        project = f"arn:aws:bedrock-mantle:{target.region}:{ACCOUNT}:project/default"
        self._permissions.check(request, target.region, [("bedrock-mantle:CountTokens", project)])
        if "anthropic-version" not in request.headers:
            raise ApiError(400, message="anthropic-version: header is required")
        body = request.json()
        for field in sorted(body.keys() - _FIELDS):
            raise ApiError(400, message=f"{field}: Extra inputs are not permitted")
        if not target.model.startswith("anthropic."):  # an inference profile's id is none here either
            raise ApiError(404, message=f"The model '{target.model}' does not exist")
        return Answer.of_json({"input_tokens": count_tokens(messages_prompt(target.model, body).text)})

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # it sends no Retry-After
        """Return Anthropic's error."""
        message = error.message or HTTPStatus(error.status).phrase
        kind = {"type": _KINDS.get(error.status, "api_error"), "message": message}
        answer = {"type": "error", "error": kind, "request_id": f"req_{uuid.uuid4().hex}"}
        return Answer.of_json(answer, status=error.status)
