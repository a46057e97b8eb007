"""Amazon Bedrock's Rerank, at the endpoint bedrock-agent-runtime: documents by how much of the query they have.

Formats: the API reference of Agents for Amazon Bedrock Runtime, Rerank, whose botocore model is asked of a request.
"""

from __future__ import annotations

import json
import re
import uuid
from http import HTTPStatus

from local import shapes
from local.outside.bedrock import check_signature, regions
from local.outside.exchange import Answer, ApiError, Request, Target
from local.outside.permissions import Permissions
from local.outside.ranking import ranked
from local.outside.records import Json
from stacks.litellm_config.bedrock import BEDROCK_ARN, RERANK_ACTION

_HOST = re.compile(r"bedrock-agent-runtime\.([a-z0-9-]+)\.amazonaws\.com")


class BedrockRerank:
    """Answers for the endpoint of every region that has a Bedrock; `permissions` are those of who calls."""

    name = "bedrock"

    def __init__(self, permissions: Permissions | None = None) -> None:
        self._permissions = permissions or Permissions()

    def serves(self, host: str) -> bool:
        """Return whether the host is the endpoint of a region that has one."""
        match = _HOST.fullmatch(host)
        return match is not None and match[1] in regions()

    def target(self, request: Request) -> Target:
        """Return the operation, the model's ARN, and the region."""
        if request.method != "POST" or request.path != "/rerank":
            raise ApiError(404, code="UnknownOperationException", message="The simulated endpoint has Rerank alone.")
        return Target("rerank", _model_of(request.json()), request.host.split(".")[1])

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call that is signed for this region and for the service bedrock."""
        check_signature(request, target.region)
        arn = BEDROCK_ARN.fullmatch(target.model)
        if arn is None or arn["kind"] != "foundation-model" or arn["region"] != target.region:
            raise ApiError(400, message=f"The provided model ARN is invalid: {target.model}")
        checks = [(RERANK_ACTION, "*"), ("bedrock:InvokeModel", target.model)]
        self._permissions.check(request, target.region, checks)
        body = request.json()
        try:
            shapes.check("bedrock-agent-runtime", "Rerank", body)
        except ValueError as error:
            raise ApiError(400, message=str(error)) from error
        texts = [_text(source["inlineDocumentSource"]) for source in body["sources"]]
        wanted = body["rerankingConfiguration"]["bedrockRerankingConfiguration"].get("numberOfResults")
        found = ranked(body["queries"][0]["textQuery"]["text"], texts, wanted)
        return Answer.of_json({"results": [{"index": at, "relevanceScore": score} for at, score in found]})

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # AWS sends no Retry-After
        """Return AWS's error: its type in a header, its message in the body."""
        code = {400: "ValidationException", 403: "AccessDeniedException", 429: "ThrottlingException"}.get(error.status)
        headers = {
            "x-amzn-errortype": error.code or code or "InternalServerException",
            "x-amzn-requestid": str(uuid.uuid4()),
        }
        message = error.message or HTTPStatus(error.status).phrase
        return Answer.of_json({"message": message}, status=error.status, headers=headers)


def _model_of(body: Json) -> str:
    try:
        configuration = body["rerankingConfiguration"]["bedrockRerankingConfiguration"]
        return str(configuration["modelConfiguration"]["modelArn"])
    except (KeyError, TypeError) as error:
        raise ApiError(400, message="The request names no model to rerank with.") from error


def _text(source: Json) -> str:
    return str(source["textDocument"]["text"]) if "textDocument" in source else json.dumps(source["jsonDocument"])
