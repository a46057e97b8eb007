"""Amazon Bedrock's runtime API: Converse, InvokeModel (Anthropic, embeddings, images, imported models), OpenAI's chat,
ApplyGuardrail.

Formats: the API reference of Bedrock Runtime, its botocore model, and Anthropic's Messages API. Binary streams: the
event stream encoding of AWS (a prelude with two lengths and its CRC, headers, payload, CRC of the whole).
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import unquote

from local.outside import bedrock_own, guardrails, images, openai_format
from local.outside.anthropic_format import (
    SIGNED,
    inlined_schema,
    message_events,
    message_object,
    messages_prompt,
    stop_reason,
    thinking_count,
    thinks,
    tool_id,
    tools_problem,
    written,
)
from local.outside.completion import (
    Completion,
    Model,
    Prompt,
    Tool,
    count_tokens,
    embedding,
    join_texts,
    own_text,
    pieces,
    result_text,
    strings,
)
from local.outside.event_stream import EVENT_STREAM, encoded
from local.outside.exchange import Answer, ApiError, Request, Target
from local.outside.guarded import INTERVENED, NOTHING, Guard, Guarded, unmarked
from local.outside.guarded import check as check_guardrail
from local.outside.json_schema import anthropic_problem
from local.outside.permissions import ACCOUNT, Permissions
from local.outside.prompt_cache import check_marks, marked_prefixes
from local.outside.records import Json, Usage
from local.outside.told import Event, Turn
from stacks.endpoints import regions_of
from stacks.litellm_config.bedrock import (
    BEDROCK_ARN,
    GEOGRAPHIES,
    GUARDRAIL_ACTION,
    geography_of,
    profile_or_model,
)

_HOST = re.compile(r"bedrock-runtime\.([a-z0-9-]+)\.amazonaws\.com")
# An ARN is one segment of the path, with its slashes encoded: API reference of Bedrock Runtime, "InvokeModel".
_PATH = re.compile(r"/model/([^/]+)/(converse|converse-stream|invoke|invoke-with-response-stream|count-tokens)")
_GUARDRAIL_PATH = re.compile(r"/guardrail/(?P<name>.+)/version/(?P<version>[^/]+)/apply")
_CHAT_PATH = "/openai/v1/chat/completions"
SIGNATURE_SECONDS = 300
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/, ]+/(?P<date>\d{8})/(?P<region>[^/, ]+)/(?P<service>[^/, ]+)/aws4_request,"
    r" ?SignedHeaders=(?P<headers>[a-z0-9;-]+), ?Signature=[0-9a-f]{64}"
)
# Where Anthropic counts the thinking, which Converse tells only who asks for it.
_THINKING_COUNT = "/usage/output_tokens_details"
# The models that CountTokens counts for, as far as it is known: others of Anthropic's it refuses, the newest among
# them, and all of other makers and every inference profile. Sources: the user guide's "Supported models and Regions for
# token counting" and, for Claude 4 and later, LiteLLM's price list (`token_count_model` with the provider bedrock).
_COUNTED = re.compile(
    r"anthropic\.claude-(3-5-haiku|3-5-sonnet|3-7-sonnet|opus-4|sonnet-4|opus-4-1|haiku-4-5|sonnet-4-5|opus-4-5)"
    r"-20\d{6}-v\d:0|anthropic\.claude-(opus-4-6-v1|sonnet-4-6)"
)
# The action of an operation, where it is not bedrock:InvokeModel:
# docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrock.html
ACTIONS = {
    "converse-stream": "bedrock:InvokeModelWithResponseStream",
    "invoke-with-response-stream": "bedrock:InvokeModelWithResponseStream",
    "count-tokens": "bedrock:CountTokens",
}
_ERRORS = {
    400: ("ValidationException", "The provided request is not valid."),
    403: ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
    404: ("ResourceNotFoundException", "The requested operation was not found."),
    408: ("ModelTimeoutException", "The request took too long to process."),
    424: ("ModelErrorException", "The request failed due to an error while processing the model."),
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    500: (
        "InternalServerException",
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request."),
}


def regions() -> frozenset[str]:
    """Every region that has a Bedrock, from the list inside botocore."""
    return regions_of("bedrock", "aws", "aws-us-gov")


class Bedrock:
    """Answers for the runtime endpoint of every region that has one; every model id is known.

    Parameters
    ----------
    profiles
        The model behind an ARN that does not tell it: an application inference profile's, or that of a model of the
        account's own, which there is if it is here.
    permissions
        Of those who call; if not given, whoever signs may do everything.
    learned
        Is told of each profile that was deployed, when it is first called: its region, its ARN and its model.
    """

    name = "bedrock"

    def __init__(
        self,
        profiles: Mapping[str, str] | None = None,
        permissions: Permissions | None = None,
        learned: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self._profiles = dict(profiles or {})
        self._learned = learned
        self._permissions = permissions or Permissions()
        self._model = Model()
        self._loading: set[str] = set()

    def add(self, arn: str, model: str, *, ready: bool = True) -> None:
        """Have a model of an account's own, provisioned or imported; `ready` is whether it answers by now."""
        self._profiles[arn] = model
        (self._loading.discard if ready else self._loading.add)(arn)

    def serves(self, host: str) -> bool:
        """Return whether the host is the runtime endpoint of a region that has one."""
        match = _HOST.fullmatch(host)
        return match is not None and match[1] in regions()

    def target(self, request: Request) -> Target:
        """Return the operation, the model id or ARN, and the region."""
        region = request.host.split(".")[1]
        if request.path == _CHAT_PATH:
            body = request.json()
            return Target("chat/completions", body.get("model", ""), region, bool(body.get("stream")))
        if _GUARDRAIL_PATH.fullmatch(request.path):
            return Target("apply-guardrail", region=region)
        match = _PATH.fullmatch(request.path)
        if request.method != "POST" or match is None:
            raise ApiError(404, code="UnknownOperationException", message="The operation is not known.")
        return Target(match[2], unquote(match[1]), region, streamed=match[2].endswith("stream"))

    def answer(self, request: Request, target: Target) -> Answer:
        """Answer one call that is signed for this region and for the service bedrock."""
        check_signature(request, target.region)
        if asked := _GUARDRAIL_PATH.fullmatch(request.path):
            return self._guard(request, target.region, unquote(asked["name"]), asked["version"])
        action = ACTIONS.get(target.operation, "bedrock:InvokeModel")
        self._permissions.check(request, target.region, [(action, arn) for arn in self._resources(target)])
        bedrock_own.check(target, self._profiles, self._loading)
        _check_guarded(request)
        body = request.json()
        if target.operation == "chat/completions":
            prompt = openai_format.chat_prompt(target.model, body)
            completion, usage = self._model.answer(request.host, prompt)
            return openai_format.chat_answer(prompt, completion, usage, body, azure=False)
        if target.operation.startswith("converse"):
            completion, usage, guarded = self._conversed(request, target, body)
            told = _THINKING_COUNT in body.get("additionalModelResponseFieldPaths", [])
            return (_converse_stream if target.streamed else _converse)(completion, usage, told, guarded)
        if target.operation == "count-tokens":
            if not _COUNTED.fullmatch(target.model.rpartition("foundation-model/")[2]):
                raise ApiError(400, message="The provided model doesn't support counting tokens.")
            return Answer.of_json({"inputTokens": _count(target.model, body["input"])})
        return self._invoke(request.host, target, body)

    def _conversed(self, request: Request, target: Target, body: Json) -> tuple[Completion, Usage, Guarded]:
        """The model's answer, or what a guardrail that the call names makes of it."""
        guard = None
        if "guardrailConfig" in body:
            config = check_guardrail(body["guardrailConfig"])
            name, version = config["guardrailIdentifier"], config["guardrailVersion"]
            guard = Guard.of(config, self._definition(request, target.region, name, version))
            if (blocked := guard.prompt(body)) is not None:
                return blocked[0], Usage(), blocked[1]
        prompt = _converse_prompt(target.model, unmarked(body))
        completion, usage = self._model.answer(request.host, prompt)
        if guard is None:
            return completion, usage, NOTHING
        completion, guarded = guard.answer(completion)
        return completion, usage, guarded

    def _definition(self, request: Request, region: str, name: str, version: str) -> guardrails.Definition | None:
        """What was deployed of a guardrail, which whoever signed may use; None if there is none."""
        arn = name if name.startswith("arn:") else f"arn:aws:bedrock:{region}:{ACCOUNT}:guardrail/{name}"
        return self._permissions.guardrail(request, region, (GUARDRAIL_ACTION, arn), name, version)

    def _guard(self, request: Request, region: str, name: str, version: str) -> Answer:
        """Answer ApplyGuardrail by what was deployed."""
        definition = self._definition(request, region, name, version)
        if definition is None:
            message = "The guardrail identifier or version provided in the request does not exist."
            raise ApiError(404, message=message)
        return Answer.of_json(guardrails.apply(definition, request.json()))

    def _resources(self, target: Target) -> list[str]:
        """The ARNs of what a call uses: for an inference profile that, and the model wherever it may be sent to.

        https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html
        """
        region, called = target.region, target.model
        arn = BEDROCK_ARN.fullmatch(called)
        if arn and arn["kind"] in bedrock_own.KINDS:
            return [called]
        named = profile_or_model(called) or self._behind(called, region)
        geography, model = geography_of(named)
        if geography is None:
            used = [] if arn is None or arn["kind"] == "foundation-model" else [called]
            return [*used, f"arn:aws:bedrock:{region}::foundation-model/{model}"]
        profile = called if arn else f"arn:aws:bedrock:{region}:{ACCOUNT}:inference-profile/{called}"
        regions = dict.fromkeys([region, *GEOGRAPHIES[geography].destinations])
        return [profile, *(f"arn:aws:bedrock:{place}::foundation-model/{model}" for place in regions)]

    def _behind(self, called: str, region: str) -> str:
        """The model behind an ARN that does not tell it; any other name is its own."""
        if ":application-inference-profile/" in called and called not in self._profiles:
            model = self._permissions.model_of(called)
            if model is None:
                raise ApiError(400, message="The provided model identifier is invalid.")
            self._profiles[called] = model
            if self._learned:
                self._learned(region, called, model)
        return self._profiles.get(called, called)

    def _invoke(self, host: str, target: Target, body: Json) -> Answer:
        model = self._behind(target.model, target.region)
        if ":imported-model/" in target.model:
            parts, usage = bedrock_own.invoked(self._model, host, target.model, body, streamed=target.streamed)
            if target.streamed:
                return _chunks(parts, usage)
            return Answer.of_json(parts[0], headers=_token_counts(usage), usage=usage)
        if "anthropic." in model:
            prompt = messages_prompt(target.model, body)
            completion, usage = self._model.answer(host, prompt)
            if target.streamed:
                return _chunks(message_events(prompt, completion, usage), usage)
            return _anthropic(prompt, completion, usage)
        if not target.streamed and images.is_bedrocks(model):
            return images.bedrocks(model, body)
        if not target.streamed and "titan-embed" in model:
            return _titan(model, body)
        if not target.streamed and "cohere.embed" in model:
            return _cohere(model, body)
        message = (
            f"The simulated Bedrock answers {target.operation} of Anthropic's models and, without a stream, of Titan's"
            f" and Cohere's embeddings and of images, not for {target.model}."
        )
        raise ApiError(400, message=message)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:  # AWS sends no Retry-After
        """Return AWS's error: its type in a header, its message in the body."""
        code, message = _ERRORS.get(error.status, ("UnknownException", HTTPStatus(error.status).phrase))
        headers = {"x-amzn-errortype": error.code or code, "x-amzn-requestid": str(uuid.uuid4())}
        return Answer.of_json({"message": error.message or message}, status=error.status, headers=headers)


def check_signature(request: Request, region: str) -> None:
    """Check what AWS checks first: that there is a Signature Version 4 and that its scope fits this endpoint.

    Raises
    ------
    ApiError
        There is none, or it does not fit.
    """
    header = request.headers.get("authorization")
    if not header:
        raise ApiError(403, code="MissingAuthenticationTokenException", message="Missing Authentication Token")
    match = _SIGNATURE.fullmatch(header)
    if match is None:
        message = "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters."
        raise ApiError(403, code="IncompleteSignatureException", message=message)
    if not {"host", "x-amz-date"} <= set(match["headers"].split(";")):
        message = "'Host' and 'X-Amz-Date' must be signed headers."
    elif not request.headers.get("x-amz-date", "").startswith(match["date"]):
        message = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP."
    elif match["region"] != region:
        message = f"Credential should be scoped to a valid region, not '{match['region']}'."
    elif match["service"] != "bedrock":
        message = f"Credential should be scoped to correct service: 'bedrock', not '{match['service']}'."
    elif not (message := _out_of_time(request)):
        return
    raise ApiError(403, code="InvalidSignatureException", message=message)


def _out_of_time(request: Request) -> str:
    """What is wrong with the time of a signature, "" if nothing: it is to reach AWS within five minutes.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
    """
    form, minutes = "%Y%m%dT%H%M%SZ", SIGNATURE_SECONDS // 60
    signed, now = request.headers["x-amz-date"], datetime.fromtimestamp(request.now, UTC)
    try:
        age = (now - datetime.strptime(signed, form).replace(tzinfo=UTC)).total_seconds()
    except ValueError:
        return "Date must be in ISO-8601 'basic format'."
    margin = timedelta(seconds=SIGNATURE_SECONDS)
    if age > SIGNATURE_SECONDS:
        bound = f"{now - margin:{form}} ({now:{form}} - {minutes} min.)"
        return f"Signature expired: {signed} is now earlier than {bound}"
    if age < -SIGNATURE_SECONDS:
        bound = f"{now + margin:{form}} ({now:{form}} + {minutes} min.)"
        return f"Signature not yet current: {signed} is still later than {bound}"
    return ""


def _check_guarded(request: Request) -> None:
    """Refuse InvokeModel with a guardrail (its API's headers), which the simulated one would leave out."""
    if "x-amzn-bedrock-guardrailidentifier" in request.headers:
        raise ApiError(400, message="The simulated Bedrock applies a guardrail to calls of Converse alone.")


def _converse_prompt(model: str, body: Json) -> Prompt:
    """Read a Converse request."""
    messages = body["messages"]
    blocks = [*body.get("system", []), *(block for message in messages for block in message["content"])]
    tools = body.get("toolConfig", {})
    check_marks([block.get("cachePoint") for block in [*tools.get("tools", []), *blocks]])
    choice = tools.get("toolChoice", {})
    specs = [tool["toolSpec"] for tool in tools.get("tools", []) if "toolSpec" in tool]
    fields = body.get("additionalModelRequestFields") or {}
    prompt = Prompt(
        model=model,
        text=join_texts(blocks),
        turn=Turn.of(_converse_steps(messages)),
        tools=tuple(Tool(spec["name"], spec["inputSchema"]["json"]) for spec in specs),
        forced_tool=choice["tool"]["name"] if "tool" in choice else "*" if "any" in choice else "",
        max_tokens=body.get("inferenceConfig", {}).get("maxTokens"),
        prefixes=marked_prefixes(blocks, "cachePoint", strings),
        images=sum("image" in block for block in blocks),
        # Claude's and Nova's ways of saying it.
        thinks=thinks(fields.get("thinking")) or thinks(fields.get("reasoningConfig")),
        schema=_converse_schema((body.get("outputConfig") or {}).get("textFormat")) or inlined_schema(blocks),
    )
    _check_tools(prompt, blocks, "toolConfig" in body)
    return prompt


def _converse_steps(messages: list[Json]) -> Iterator[Event]:
    for message in messages:
        if message["role"] == "assistant":
            yield "called" if any("toolUse" in block for block in message["content"]) else "answered", ""
            continue
        for block in message["content"]:
            if "toolResult" in block:
                yield "result", result_text(block["toolResult"]["content"])
        yield "asked", own_text(message["content"])


def _converse_schema(wanted: Json | None) -> Json | None:
    """Return the schema of a `textFormat`, which is a JSON text: API reference, `JsonSchemaDefinition`."""
    if wanted is None:
        return None
    try:
        schema: Json = json.loads(wanted["structure"]["jsonSchema"]["schema"])
    except ValueError as error:
        raise ApiError(400, message="The JSON schema in outputConfig.textFormat is not valid JSON.") from error
    if problem := anthropic_problem(schema):
        message = f"The model returned the following errors: output_config.format.schema: {problem}"
        raise ApiError(400, message=message)
    return schema


def _check_tools(prompt: Prompt, blocks: list[Json], configured: bool) -> None:
    """Refuse what Converse refuses of tools, and what the model behind it does, whose words it passes on."""
    if configured and not prompt.tools:
        message = (
            "1 validation error detected: Value at 'toolConfig.tools' failed to satisfy constraint: Member must have"
            " length greater than or equal to 1"
        )
        raise ApiError(400, message=message)
    if not configured and any("toolUse" in block or "toolResult" in block for block in blocks):
        message = "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        raise ApiError(400, message=message)
    if problem := tools_problem(prompt):
        raise ApiError(400, message=f"The model returned the following errors: {problem}")


def _count(model: str, counted: Json) -> int:
    if "converse" in counted:
        return count_tokens(_converse_prompt(model, counted["converse"]).text)
    return count_tokens(messages_prompt(model, json.loads(base64.b64decode(counted["invokeModel"]["body"]))).text)


def _converse(completion: Completion, usage: Usage, told: bool, guarded: Guarded) -> Answer:
    block: Json = {"text": completion.text}
    if call := completion.tool_call:
        block = {"toolUse": {"toolUseId": tool_id(completion), "name": call.name, "input": call.arguments}}
    thoughts = {"reasoningContent": {"reasoningText": {"text": completion.thoughts, "signature": SIGNED}}}
    content = [thoughts, block] if completion.thoughts else [block]
    answer = {
        "output": {"message": {"role": "assistant", "content": content}},
        **_converse_end(completion, told, guarded),
        "usage": _converse_usage(usage),
        "metrics": {"latencyMs": 1},
        **guarded.end,
    }
    return Answer.of_json(answer, headers={"x-amzn-requestid": str(uuid.uuid4())}, usage=usage)


def _converse_end(completion: Completion, told: bool, guarded: Guarded) -> Json:
    end: Json = {"stopReason": INTERVENED if guarded.intervened else stop_reason(completion)}
    if completion.thoughts and told:
        end["additionalModelResponseFields"] = {"usage": thinking_count(completion.reasoning_tokens)}
    return end


def _converse_stream(completion: Completion, usage: Usage, told: bool, guarded: Guarded) -> Answer:
    events = (_event_message(kind, payload) for kind, payload in _converse_events(completion, usage, told, guarded))
    return Answer(200, {"content-type": EVENT_STREAM, "x-amzn-requestid": str(uuid.uuid4())}, list(events), usage)


def _converse_events(completion: Completion, usage: Usage, told: bool, guarded: Guarded) -> Iterator[tuple[str, Json]]:
    """Yield the events. As with AWS, only a tool call has a contentBlockStart: a text's begins with its first delta."""
    yield "messageStart", {"role": "assistant"}
    index = 0
    if completion.thoughts:
        thoughts = [*({"text": piece} for piece in pieces(completion.thoughts)), {"signature": SIGNED}]
        for part in thoughts:
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"reasoningContent": part}}
        yield "contentBlockStop", {"contentBlockIndex": index}
        index += 1
    if call := completion.tool_call:
        start = {"toolUse": {"toolUseId": tool_id(completion), "name": call.name}}
        yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
    for piece in completion.chunks():
        delta: Json = {"toolUse": {"input": piece}} if completion.tool_call else {"text": piece}
        yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
    yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", _converse_end(completion, told, guarded)
    yield "metadata", {"usage": _converse_usage(usage), "metrics": {"latencyMs": 1}, **guarded.end}


def _converse_usage(usage: Usage) -> Json:
    """Return the counts as Bedrock gives them: `inputTokens` without what came from and went to the cache."""
    return {
        "inputTokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
        "cacheReadInputTokens": usage.cached_tokens,
        "cacheWriteInputTokens": usage.cache_write_tokens,
        "cacheDetails": [
            {"ttl": lifetime, "inputTokens": tokens} for lifetime, tokens in written(usage).items() if tokens
        ],
    }


def _anthropic(prompt: Prompt, completion: Completion, usage: Usage) -> Answer:
    message = message_object(prompt, completion, usage)
    return Answer.of_json(message, headers=_token_counts(usage), usage=usage)


def _chunks(events: Iterable[Json], usage: Usage) -> Answer:
    """Answer with what a model streams, each event in one of AWS's stream, the last with Bedrock's own counts."""
    metrics = {
        "inputTokenCount": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "outputTokenCount": usage.output_tokens,
        "invocationLatency": 1,
        "firstByteLatency": 1,
        "cacheReadInputTokenCount": usage.cached_tokens,
        "cacheWriteInputTokenCount": usage.cache_write_tokens,
    }
    *first, last = events
    told = [*first, last | {"amazon-bedrock-invocationMetrics": metrics}]
    payloads = ({"bytes": base64.b64encode(json.dumps(event).encode()).decode()} for event in told)
    headers = {"content-type": EVENT_STREAM, "x-amzn-bedrock-content-type": "application/json"}
    return Answer(200, headers, [_event_message("chunk", payload) for payload in payloads], usage)


def _titan(model: str, body: Json) -> Answer:
    text = body["inputText"]
    usage = Usage(count_tokens(text))
    dimensions = body.get("dimensions") or (1024 if "v2" in model else 1536)
    answer = {"embedding": embedding(text, dimensions), "inputTextTokenCount": usage.input_tokens}
    return Answer.of_json(answer, headers=_token_counts(usage), usage=usage)


def _cohere(model: str, body: Json) -> Answer:
    texts = body["texts"]
    usage = Usage(sum(count_tokens(text) for text in texts))
    dimensions = body.get("output_dimension") or (1536 if "v4" in model else 1024)
    vectors: object = [embedding(text, dimensions) for text in texts]
    kind = "embeddings_floats"
    if body.get("embedding_types"):
        vectors, kind = dict.fromkeys(body["embedding_types"], vectors), "embeddings_by_type"
    answer = {"id": str(uuid.uuid4()), "response_type": kind, "embeddings": vectors, "texts": texts}
    return Answer.of_json(answer, headers=_token_counts(usage), usage=usage)


def _token_counts(usage: Usage) -> dict[str, str]:
    return {
        "x-amzn-requestid": str(uuid.uuid4()),
        "x-amzn-bedrock-input-token-count": str(usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens),
        "x-amzn-bedrock-output-token-count": str(usage.output_tokens),
        "x-amzn-bedrock-invocation-latency": "1",
    }


def _event_message(kind: str, payload: Json) -> bytes:
    """Encode one event of an AWS event stream, `kind` being its `:event-type`."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return encoded(headers, json.dumps(payload).encode())
