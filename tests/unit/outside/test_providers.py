"""Each simulated provider, called as its real one is: by its own SDK or its documented HTTP, through the proxy."""

import base64
import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import boto3
import httpx
import openai
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local.outside.completion import COMPLETION_PHRASE, IMAGE_TOKENS, count_tokens
from local.outside.images import PIXEL
from local.outside.records import Fault, Usage
from local.outside.told import TOOL_MARKER
from local.outside.world import OutsideWorld

CLAUDE = "us.anthropic.claude-sonnet-5"
GEMINI = "/v1/projects/local-project/locations/us-central1/publishers/google/models/gemini-3.8-flash"
VERTEX = "https://us-central1-aiplatform.googleapis.com"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
ARGUMENTS = {"city": "example", "days": 1}
LONG = "word " * 1200


def bedrock(world: OutsideWorld, region: str = "us-west-2", endpoint_region: str = "") -> Any:  # noqa: ANN401  # no stubs of it are installed
    return boto3.client(
        "bedrock-runtime",
        region_name=region,
        endpoint_url=f"https://bedrock-runtime.{endpoint_region or region}.amazonaws.com",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="example",
        verify=str(world.ca_file),
        config=Config(proxies={"https": world.proxy_url}, retries={"total_max_attempts": 1}),
    )


def azure(world: OutsideWorld, sdk: openai.DefaultHttpxClient, key: str = "") -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        azure_endpoint="https://acme.openai.azure.com",
        api_version="2025-04-01-preview",
        api_key=key or world.credentials.azure_api_key,
        http_client=sdk,
        max_retries=0,
    )


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def converse(text: str, **more: object) -> dict[str, Any]:
    return {"modelId": CLAUDE, "messages": [{"role": "user", "content": [{"text": text}]}], **more}


class TestBedrock:
    def test_converse(self, world: OutsideWorld) -> None:
        answer = bedrock(world).converse(**converse("Say hello.", system=[{"text": "Be brief."}]))
        text = answer["output"]["message"]["content"][0]["text"]
        assert text.startswith(COMPLETION_PHRASE)
        assert answer["stopReason"] == "end_turn"
        (call,) = world.calls()
        assert (call.provider, call.region, call.operation, call.model) == ("bedrock", "us-west-2", "converse", CLAUDE)
        assert call.usage == Usage(count_tokens("Be brief.\nSay hello."), count_tokens(text))
        assert answer["usage"]["inputTokens"] == call.usage.input_tokens
        assert answer["usage"]["outputTokens"] == call.usage.output_tokens

    def test_converse_stream_carries_the_same_answer(self, world: OutsideWorld) -> None:
        client = bedrock(world)
        whole = client.converse(**converse("Say hello."))
        events = list(client.converse_stream(**converse("Say hello."))["stream"])
        pieces = [e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e]
        assert len(pieces) > 2
        assert "".join(pieces) == whole["output"]["message"]["content"][0]["text"]
        assert events[-1]["metadata"]["usage"] == whole["usage"]
        assert [call.streamed for call in world.calls()] == [False, True]

    def test_a_tool_is_called_when_asked_and_its_result_is_answered(self, world: OutsideWorld) -> None:
        client = bedrock(world)
        tools = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]}
        request = converse(f"Please {TOOL_MARKER}.", toolConfig=tools)
        answer = client.converse(**request)
        use = answer["output"]["message"]["content"][0]["toolUse"]
        assert (answer["stopReason"], use["name"], use["input"]) == ("tool_use", "weather", ARGUMENTS)
        events = list(client.converse_stream(**request)["stream"])
        pieces = [e["contentBlockDelta"]["delta"]["toolUse"]["input"] for e in events if "contentBlockDelta" in e]
        assert json.loads("".join(pieces)) == ARGUMENTS
        result = {"toolUseId": use["toolUseId"], "content": [{"text": "rain"}]}
        request["messages"] += [answer["output"]["message"], {"role": "user", "content": [{"toolResult": result}]}]
        assert "text" in client.converse(**request)["output"]["message"]["content"][0]

    def test_a_marked_prefix_is_written_to_the_cache_and_then_read(self, world: OutsideWorld) -> None:
        request = converse("Question", system=[{"text": LONG}, {"cachePoint": {"type": "default"}}])
        counts = [bedrock(world, "us-east-2").converse(**request)["usage"] for _ in range(2)]
        names = ("inputTokens", "cacheWriteInputTokens", "cacheReadInputTokens")
        assert [[count[name] for name in names] for count in counts] == [[3, 1500, 0], [3, 0, 1500]]
        assert world.calls()[-1].usage.input_tokens == 1503

    def test_a_prompt_is_read_up_to_the_longest_known_mark_and_written_on_to_the_last(
        self, world: OutsideWorld
    ) -> None:
        client, hour = bedrock(world), {"cachePoint": {"type": "default", "ttl": "1h"}}
        system = [{"text": f"Kept for an hour. {LONG}"}, hour]
        content: list[Any] = [{"text": LONG}, {"cachePoint": {"type": "default"}}, {"text": "Question"}]
        request = {"modelId": CLAUDE, "system": system, "messages": [{"role": "user", "content": content}]}
        first, second = client.converse(**request), client.converse(**request)
        assert first["usage"]["cacheDetails"] == [
            {"ttl": "1h", "inputTokens": 1505},
            {"ttl": "5m", "inputTokens": 1500},
        ]
        assert [second["usage"][f"cache{kind}InputTokens"] for kind in ("Read", "Write")] == [3005, 0]
        content[0]["text"] = f"Another. {LONG}"
        usage = client.converse(**request)["usage"]
        assert [usage[f"cache{kind}InputTokens"] for kind in ("Read", "Write")] == [1505, 1502]
        assert [call.usage.cache_write_1h_tokens for call in world.calls()] == [1505, 0, 0]

    @pytest.mark.parametrize("fields", [{"thinking": {"type": "adaptive"}}, {"reasoningConfig": {"type": "enabled"}}])
    def test_thoughts_are_output_and_told_who_asks(self, world: OutsideWorld, fields: dict[str, Any]) -> None:
        client = bedrock(world)
        request = converse("Say hello.", additionalModelRequestFields=fields)
        count = "/usage/output_tokens_details"
        whole = client.converse(**request, additionalModelResponseFieldPaths=[count])
        shown, answer = whole["output"]["message"]["content"]
        (call,) = world.calls()
        assert whole["additionalModelResponseFields"] == {
            "usage": {"output_tokens_details": {"thinking_tokens": call.usage.reasoning_tokens}}
        }
        assert whole["usage"]["outputTokens"] == call.usage.reasoning_tokens + count_tokens(answer["text"])
        thoughts = shown["reasoningContent"]["reasoningText"]["text"]
        assert count_tokens(thoughts) < call.usage.reasoning_tokens
        events = list(client.converse_stream(**request)["stream"])
        deltas = [event["contentBlockDelta"] for event in events if "contentBlockDelta" in event]
        streamed = [delta["delta"]["reasoningContent"] for delta in deltas if delta["contentBlockIndex"] == 0]
        assert "".join(part.get("text", "") for part in streamed) == thoughts
        assert "".join(delta["delta"]["text"] for delta in deltas if delta["contentBlockIndex"] == 1) == answer["text"]
        assert "additionalModelResponseFields" not in next(e for e in events if "messageStop" in e)["messageStop"]

    def test_an_image_counts_as_so_many_tokens(self, world: OutsideWorld) -> None:
        image = {"image": {"format": "png", "source": {"bytes": base64.b64decode(PIXEL)}}}
        answer = bedrock(world).converse(
            modelId=CLAUDE, messages=[{"role": "user", "content": [{"text": "four"}, image]}]
        )
        assert answer["usage"]["inputTokens"] == 1 + IMAGE_TOKENS

    def test_anthropic_thoughts_images_and_caching(self, world: OutsideWorld) -> None:
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        body: dict[str, Any] = {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 1000,
            "thinking": {"type": "adaptive"},
            "system": [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "four"}, {"type": "image", "source": source}]}
            ],
        }
        request: dict[str, Any] = {"modelId": CLAUDE, "body": json.dumps(body)}
        plain = json.loads(bedrock(world, "us-east-1").invoke_model(**request)["body"].read())
        (call,) = world.calls()
        thoughts, answer = plain["content"]
        details = {"thinking_tokens": call.usage.reasoning_tokens}
        assert (thoughts["type"], plain["usage"]["output_tokens_details"]) == ("thinking", details)
        assert plain["usage"]["cache_creation"] == {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1500}
        assert plain["usage"]["input_tokens"] == call.usage.input_tokens - 1500 == count_tokens("\nfour") + IMAGE_TOKENS
        stream = bedrock(world, "us-east-1").invoke_model_with_response_stream(**request)["body"]
        events = [json.loads(event["chunk"]["bytes"]) for event in stream]
        deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
        assert "".join(delta.get("thinking", "") for delta in deltas) == thoughts["thinking"]
        assert "".join(delta.get("text", "") for delta in deltas) == answer["text"]
        assert events[0]["message"]["usage"]["cache_read_input_tokens"] == 1500
        assert events[-2]["usage"] == {
            "output_tokens": plain["usage"]["output_tokens"],
            "output_tokens_details": details,
        }

    def test_anthropic_messages_plain_and_streamed(self, world: OutsideWorld) -> None:
        body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": user("Say hello.")}
        request: dict[str, Any] = {"modelId": CLAUDE, "body": json.dumps(body)}
        plain = json.loads(bedrock(world).invoke_model(**request)["body"].read())
        stream = bedrock(world).invoke_model_with_response_stream(**request)["body"]
        events = [json.loads(event["chunk"]["bytes"]) for event in stream]
        texts = [e["delta"]["text"] for e in events if e["type"] == "content_block_delta"]
        assert "".join(texts) == plain["content"][0]["text"]
        assert events[-2]["usage"]["output_tokens"] == plain["usage"]["output_tokens"]
        assert events[-1]["amazon-bedrock-invocationMetrics"]["inputTokenCount"] == plain["usage"]["input_tokens"]

    @pytest.mark.parametrize(
        ("model", "body", "vector"),
        [
            ("amazon.titan-embed-text-v2:0", {"inputText": "four", "dimensions": 256}, lambda a: a["embedding"]),
            ("cohere.embed-multilingual-v3", {"texts": ["four"]}, lambda a: a["embeddings"][0]),
        ],
    )
    def test_embeddings(
        self, world: OutsideWorld, model: str, body: dict[str, Any], vector: Callable[[Any], list[float]]
    ) -> None:
        answer = json.loads(bedrock(world).invoke_model(modelId=model, body=json.dumps(body))["body"].read())
        assert sum(value * value for value in vector(answer)) == pytest.approx(1)
        assert world.calls()[-1].usage == Usage(1)

    @pytest.mark.parametrize(
        "model",
        ["anthropic.claude-sonnet-4-6", "arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-sonnet-4-6"],
    )
    def test_tokens_are_counted(self, world: OutsideWorld, model: str) -> None:
        counted = {"converse": {"messages": [{"role": "user", "content": [{"text": LONG}]}]}}
        answer = bedrock(world).count_tokens(modelId=model, input=counted)
        assert answer["inputTokens"] == count_tokens(LONG)

    @pytest.mark.parametrize(
        "model",
        [
            "us.anthropic.claude-sonnet-4-6",
            "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6",
            "anthropic.claude-opus-5-5",
            "amazon.nova-2-lite-v1:0",
        ],
    )
    def test_tokens_are_not_counted_for_a_profile_a_newer_model_or_another_makers(
        self, world: OutsideWorld, model: str
    ) -> None:
        counted = {"converse": {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}}
        with pytest.raises(ClientError, match="doesn't support counting tokens") as error:
            bedrock(world).count_tokens(modelId=model, input=counted)
        assert error.value.response["Error"]["Code"] == "ValidationException"

    def test_max_tokens_ends_the_answer(self, world: OutsideWorld) -> None:
        answer = bedrock(world).converse(**converse("Say hello.", inferenceConfig={"maxTokens": 3}))
        assert (answer["stopReason"], answer["usage"]["outputTokens"]) == ("max_tokens", 3)

    def test_a_signature_for_another_region_is_refused(self, world: OutsideWorld) -> None:
        with pytest.raises(ClientError, match="valid region") as error:
            bedrock(world, "us-east-1", endpoint_region="us-west-2").converse(**converse("hello"))
        assert error.value.response["Error"]["Code"] == "InvalidSignatureException"
        assert world.calls()[-1].status == 403

    def test_no_signature_is_refused(self, http: httpx.Client) -> None:
        answer = http.post(f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{CLAUDE}/converse", json={})
        assert answer.status_code == 403
        assert answer.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"

    def test_throttled(self, world: OutsideWorld) -> None:
        world.set_fault("bedrock-runtime.us-west-2.amazonaws.com", Fault(status=429, count=1))
        client = bedrock(world)
        with pytest.raises(ClientError) as error:
            client.converse(**converse("hello"))
        assert error.value.response["Error"]["Code"] == "ThrottlingException"
        client.converse(**converse("hello"))
        assert [(call.status, call.model) for call in world.calls()] == [(429, CLAUDE), (200, CLAUDE)]

    def test_a_malformed_request_is_named_so(self, world: OutsideWorld) -> None:
        with pytest.raises(ClientError) as error:
            bedrock(world).invoke_model(modelId=CLAUDE, body=json.dumps({"prompt": "old style"}))
        assert error.value.response["Error"]["Code"] == "ValidationException"


RERANKER = "arn:aws:bedrock:us-west-2::foundation-model/cohere.rerank-v3-5:0"


def agent_runtime(world: OutsideWorld) -> Any:  # noqa: ANN401  # no stubs of it are installed
    return boto3.client(
        "bedrock-agent-runtime",
        region_name="us-west-2",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="example",
        verify=str(world.ca_file),
        config=Config(proxies={"https": world.proxy_url}, retries={"total_max_attempts": 1}),
    )


def reranking(model: str, *texts: str, most: int) -> dict[str, Any]:
    configuration = {"modelConfiguration": {"modelArn": model}, "numberOfResults": most}
    documents = ({"type": "TEXT", "textDocument": {"text": text}} for text in texts)
    return {
        "queries": [{"type": "TEXT", "textQuery": {"text": "capital of Japan"}}],
        "sources": [{"type": "INLINE", "inlineDocumentSource": document} for document in documents],
        "rerankingConfiguration": {
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": configuration,
        },
    }


class TestBedrockRerank:
    def test_what_has_more_of_the_query_comes_first(self, world: OutsideWorld) -> None:
        texts = ("A cat sleeps.", "The capital of Japan is Tokyo.", "Japan is an island.")
        results = agent_runtime(world).rerank(**reranking(RERANKER, *texts, most=2))["results"]
        assert [each["index"] for each in results] == [1, 2]

    @pytest.mark.parametrize("other", [("us-west-2", "us-east-1"), ("foundation-model", "custom-model")])
    def test_a_model_that_is_not_there_is_refused(self, world: OutsideWorld, other: tuple[str, str]) -> None:
        model = RERANKER.replace(*other)
        with pytest.raises(ClientError, match="ValidationException"):
            agent_runtime(world).rerank(**reranking(model, "a", most=1))


class TestImages:
    def test_bedrocks_models_make_as_many_as_are_asked_for(self, world: OutsideWorld) -> None:
        body = {
            "taskType": "TEXT_IMAGE",
            "textToImageParams": {"text": "A pixel"},
            "imageGenerationConfig": {"numberOfImages": 2},
        }
        request = {"modelId": "amazon.nova-canvas-v1:0", "body": json.dumps(body)}
        assert json.loads(bedrock(world).invoke_model(**request)["body"].read())["images"] == [PIXEL, PIXEL]
        stable = {"modelId": "stability.sd3-5-large-v1:0", "body": json.dumps({"prompt": "A pixel"})}
        assert json.loads(bedrock(world).invoke_model(**stable)["body"].read())["images"] == [PIXEL]
        with pytest.raises(ClientError, match="ValidationException"):
            bedrock(world).invoke_model(modelId="amazon.nova-canvas-v1:0", body=json.dumps({"prompt": "A pixel"}))

    def test_azures_deployments_do_and_count_tokens(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        answer = azure(world, sdk).images.generate(model="gpt-image-1", prompt="A pixel", n=2)
        assert [each.b64_json for each in answer.data or []] == [PIXEL, PIXEL]
        assert answer.usage
        assert answer.usage.output_tokens == 2 * IMAGE_TOKENS
        with pytest.raises(openai.BadRequestError):
            azure(world, sdk).images.generate(model="gpt-image-1", prompt="A pixel", n=11)


MANTLE = "https://bedrock-mantle.us-west-2.api.aws/anthropic/v1/messages/count_tokens"
COUNTED = {"model": "anthropic.claude-opus-5-5", "messages": [{"role": "user", "content": LONG}]}


class TestBedrockMantle:
    @staticmethod
    def ask(http: httpx.Client, body: dict[str, Any], region: str = "us-west-2", **headers: str) -> httpx.Response:
        """Signed as LiteLLM does it."""
        request = AWSRequest("POST", MANTLE, {"anthropic-version": "2023-06-01", **headers}, json.dumps(body))
        SigV4Auth(Credentials("AKIDEXAMPLE", "example"), "bedrock", region).add_auth(request)
        return http.post(MANTLE, content=request.body, headers=dict(request.headers.items()))

    def test_tokens_are_counted(self, world: OutsideWorld, http: httpx.Client) -> None:
        assert self.ask(http, COUNTED).json() == {"input_tokens": count_tokens(LONG)}
        (call,) = world.calls()
        assert (call.provider, call.region, call.operation, call.model, call.usage) == (
            *("bedrock-mantle", "us-west-2", "count_tokens", "anthropic.claude-opus-5-5"),
            Usage(),  # it costs nothing
        )

    @pytest.mark.parametrize(
        ("change", "status", "kind"),
        [
            ({"model": "us.anthropic.claude-opus-5-5"}, 404, "not_found_error"),
            ({"model": "amazon.nova-2-lite-v1:0"}, 404, "not_found_error"),
            ({"max_tokens": 10}, 400, "invalid_request_error"),
        ],
    )
    def test_what_is_refused(self, http: httpx.Client, change: dict[str, Any], status: int, kind: str) -> None:
        answer = self.ask(http, COUNTED | change)
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)

    def test_a_signature_for_another_region_is_refused(self, http: httpx.Client) -> None:
        answer = self.ask(http, COUNTED, region="us-east-1")
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")

    @pytest.mark.parametrize(("ahead", "words"), [(600, "Signature expired: "), (-600, "Signature not yet current: ")])
    def test_a_signature_of_another_time_is_refused(
        self, world: OutsideWorld, http: httpx.Client, ahead: float, words: str
    ) -> None:
        world.set_fault("bedrock-mantle.*", Fault(clock_seconds=ahead))
        answer = self.ask(http, COUNTED)
        assert (answer.status_code, answer.json()["error"]["message"].startswith(words)) == (403, True)
        world.set_fault("bedrock-mantle.*", Fault(clock_seconds=ahead / 3))
        assert self.ask(http, COUNTED).is_success

    def test_no_signature_and_no_version_are_refused(self, http: httpx.Client) -> None:
        assert http.post(MANTLE, json=COUNTED).status_code == 403
        request = AWSRequest("POST", MANTLE, {}, json.dumps(COUNTED))
        SigV4Auth(Credentials("AKIDEXAMPLE", "example"), "bedrock", "us-west-2").add_auth(request)
        assert http.post(MANTLE, content=request.body, headers=dict(request.headers.items())).status_code == 400

    def test_nothing_else_is_there(self, http: httpx.Client) -> None:
        assert http.post("https://bedrock-mantle.us-west-2.api.aws/v1/responses", json={}).status_code == 404


class TestAzureOpenAI:
    def test_chat_plain_and_streamed(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        chat = azure(world, sdk).chat.completions
        plain = chat.create(model="gpt-6.1-sol", messages=user("Say hello."))
        chunks = list(
            chat.create(
                model="gpt-6.1-sol",
                messages=user("Say hello."),
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
        assert "".join(texts) == plain.choices[0].message.content
        assert plain.usage is not None
        assert chunks[-1].usage == plain.usage
        assert [(call.model, call.streamed, call.usage) for call in world.calls()] == [
            ("gpt-6.1-sol", streamed, Usage(plain.usage.prompt_tokens, plain.usage.completion_tokens))
            for streamed in (False, True)
        ]

    def test_usage_is_streamed_only_when_asked(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        chunks = azure(world, sdk).chat.completions.create(model="gpt", messages=user("hello"), stream=True)
        assert not any(chunk.usage for chunk in chunks)

    def test_a_tool_is_called(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        answer = azure(world, sdk).chat.completions.create(
            model="gpt",
            messages=user("Weather?"),
            tools=[{"type": "function", "function": {"name": "weather", "parameters": dict(SCHEMA)}}],
            tool_choice="required",
        )
        (call,) = answer.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert json.loads(call.function.arguments) == ARGUMENTS
        assert answer.choices[0].finish_reason == "tool_calls"

    def test_responses_plain_and_streamed(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        responses = azure(world, sdk).responses
        plain = responses.create(model="gpt-5-pro", input="Say hello.")
        events = list(responses.create(model="gpt-5-pro", input="Say hello.", stream=True))
        assert plain.output_text.startswith(COMPLETION_PHRASE)
        assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == plain.output_text
        last = events[-1]
        assert last.type == "response.completed"
        assert last.response.usage == plain.usage
        assert [event.sequence_number for event in events] == list(range(len(events)))

    def test_a_long_prompt_is_cached_by_itself(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        chat = azure(world, sdk).chat.completions
        usages = [chat.create(model="cache", messages=user(LONG + ending)).usage for ending in ("one", "two")]
        details = [usage.prompt_tokens_details for usage in usages if usage]
        assert [detail.cached_tokens for detail in details if detail] == [0, 1408]

    def test_writes_to_the_cache_are_charged_since_gpt_5_6(
        self, world: OutsideWorld, sdk: openai.DefaultHttpxClient
    ) -> None:
        for model, written in (("gpt-6.1-sol", 1408), ("gpt-5.6-luna", 1408), ("gpt-5.5", None), ("gpt-35", None)):
            usage = azure(world, sdk).chat.completions.create(model=model, messages=user(LONG)).usage
            assert usage and usage.prompt_tokens_details
            assert usage.prompt_tokens_details.model_dump().get("cache_write_tokens") == written
            assert world.calls()[-1].usage.cache_write_tokens == (written or 0)

    def test_thoughts_are_within_the_completion(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        chat = azure(world, sdk).chat.completions
        usage = chat.create(model="gpt-6.1-sol", messages=user("Say hello."), reasoning_effort="low").usage
        assert usage and usage.completion_tokens_details
        counted = world.calls()[-1].usage
        assert usage.completion_tokens == counted.output_tokens > counted.reasoning_tokens > 0
        assert usage.completion_tokens_details.reasoning_tokens == counted.reasoning_tokens

    def test_responses_with_thoughts_and_an_image(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        image = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
        given: Any = [{"role": "user", "content": [{"type": "input_text", "text": "four"}, image]}]
        responses = azure(world, sdk).responses
        plain = responses.create(model="gpt-6.1-sol", input=given, reasoning={"effort": "low"})
        events = list(responses.create(model="gpt-6.1-sol", input=given, reasoning={"effort": "low"}, stream=True))
        assert [item.type for item in plain.output] == ["reasoning", "message"]
        assert plain.usage
        counted = world.calls()[-1].usage
        assert plain.usage.input_tokens == counted.input_tokens == 1 + IMAGE_TOKENS
        assert plain.usage.output_tokens_details.reasoning_tokens == counted.reasoning_tokens > 0
        assert events[-1].type == "response.completed"
        assert events[-1].response.usage == plain.usage
        assert {event.output_index for event in events if event.type == "response.output_text.delta"} == {1}

    def test_embeddings(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        answer = azure(world, sdk).embeddings.create(model="text-embedding-3-small", input=["one", "three"])
        assert [len(item.embedding) for item in answer.data] == [1536, 1536]
        assert answer.usage.prompt_tokens == 1 + 2

    def test_a_wrong_key_is_refused(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        with pytest.raises(openai.AuthenticationError, match="invalid subscription key"):
            azure(world, sdk, key="wrong").chat.completions.create(model="gpt", messages=user("hello"))

    def test_throttled_says_when_to_try_again(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        world.set_fault("*.openai.azure.com", Fault(status=429, retry_after_seconds=7))
        with pytest.raises(openai.RateLimitError) as error:
            azure(world, sdk).chat.completions.create(model="gpt", messages=user("hello"))
        assert error.value.response.headers["retry-after"] == "7"

    def test_a_cut_stream_breaks_and_is_recorded(self, world: OutsideWorld, sdk: openai.DefaultHttpxClient) -> None:
        world.set_fault("acme.openai.azure.com", Fault(cut_after_bytes=600))
        stream = azure(world, sdk).chat.completions.create(model="gpt", messages=user("hello"), stream=True)
        with pytest.raises(openai.APIConnectionError):
            list(stream)
        assert world.calls()[-1].cut


class TestGoogle:
    @staticmethod
    def assertion(world: OutsideWorld, **changes: object) -> str:
        account = json.loads(world.credentials.vertex_credentials)
        key = serialization.load_pem_private_key(account["private_key"].encode(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        now = int(time.time())
        claims = {
            "iss": account["client_email"],
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": account["token_uri"],
            "iat": now,
            "exp": now + 3600,
            **changes,
        }
        header = {"alg": "RS256", "typ": "JWT", "kid": account["private_key_id"]}
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
        signature = key.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
        return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()

    @staticmethod
    def exchange(http: httpx.Client, assertion: str) -> httpx.Response:
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return http.post("https://oauth2.googleapis.com/token", data=form)

    @pytest.fixture
    def bearer(self, world: OutsideWorld, http: httpx.Client) -> dict[str, str]:
        answer = self.exchange(http, self.assertion(world))
        return {"authorization": f"Bearer {answer.json()['access_token']}"}

    def test_an_assertion_of_the_future_is_refused(self, world: OutsideWorld, http: httpx.Client) -> None:
        """One of the past is in force until its end."""
        world.set_fault("oauth2.googleapis.com", Fault(clock_seconds=-600))
        answer = self.exchange(http, self.assertion(world))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        world.set_fault("oauth2.googleapis.com", Fault(clock_seconds=600))
        assert self.exchange(http, self.assertion(world)).is_success

    def test_generate_content_plain_and_streamed(
        self, world: OutsideWorld, http: httpx.Client, bearer: dict[str, str]
    ) -> None:
        body = {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
        url = f"{VERTEX}{GEMINI}"
        plain = http.post(f"{url}:generateContent", json=body, headers=bearer).json()
        stream = http.post(f"{url}:streamGenerateContent?alt=sse", json=body, headers=bearer).text
        chunks = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line]
        texts = [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks]
        assert len(texts) > 2
        assert "".join(texts) == plain["candidates"][0]["content"]["parts"][0]["text"]
        assert chunks[-1]["usageMetadata"] == plain["usageMetadata"]
        call = world.calls()[-1]
        assert (call.region, call.model, call.streamed) == ("us-central1", "gemini-3.8-flash", True)
        assert call.usage.input_tokens == plain["usageMetadata"]["promptTokenCount"] == 3

    def test_a_function_is_called(self, http: httpx.Client, bearer: dict[str, str]) -> None:
        body = {
            "contents": [{"role": "user", "parts": [{"text": f"Please {TOOL_MARKER}."}]}],
            "tools": [{"function_declarations": [{"name": "weather", "parameters": SCHEMA}]}],
        }
        answer = http.post(f"{VERTEX}{GEMINI}:generateContent", json=body, headers=bearer).json()
        assert answer["candidates"][0]["content"]["parts"] == [{"functionCall": {"name": "weather", "args": ARGUMENTS}}]

    def test_thoughts_are_counted_apart_and_images_by_modality(
        self, world: OutsideWorld, http: httpx.Client, bearer: dict[str, str]
    ) -> None:
        parts = [{"text": "four"}, {"inlineData": {"mimeType": "image/png", "data": PIXEL}}]
        body = {
            "contents": [{"role": "user", "parts": parts}],
            "generationConfig": {"thinkingConfig": {"thinkingLevel": "low"}},
        }
        plain = http.post(f"{VERTEX}{GEMINI}:generateContent", json=body, headers=bearer).json()
        usage, metadata = world.calls()[-1].usage, plain["usageMetadata"]
        thought, answer = plain["candidates"][0]["content"]["parts"]
        assert (thought["thought"], metadata["thoughtsTokenCount"]) == (True, usage.reasoning_tokens)
        assert metadata["candidatesTokenCount"] == count_tokens(answer["text"])
        assert metadata["totalTokenCount"] == usage.input_tokens + usage.output_tokens
        assert metadata["promptTokensDetails"] == [
            {"modality": "TEXT", "tokenCount": 1},
            {"modality": "IMAGE", "tokenCount": IMAGE_TOKENS},
        ]
        stream = http.post(f"{VERTEX}{GEMINI}:streamGenerateContent?alt=sse", json=body, headers=bearer).text
        chunks = [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line]
        assert chunks[-1]["usageMetadata"] == metadata

    def test_a_long_prompt_is_cached_by_itself(self, http: httpx.Client, bearer: dict[str, str]) -> None:
        body = {"contents": [{"parts": [{"text": 4 * LONG}]}]}
        answers = [http.post(f"{VERTEX}{GEMINI}:generateContent", json=body, headers=bearer).json() for _ in range(2)]
        counts = [answer["usageMetadata"].get("cachedContentTokenCount") for answer in answers]
        assert counts == [None, 5888]

    def test_the_global_host(self, http: httpx.Client, bearer: dict[str, str]) -> None:
        url = "https://aiplatform.googleapis.com" + GEMINI.replace("us-central1", "global")
        body = {"contents": [{"parts": [{"text": "hello"}]}]}
        assert http.post(f"{url}:generateContent", json=body, headers=bearer).status_code == 200

    def test_embeddings(self, http: httpx.Client, bearer: dict[str, str]) -> None:
        url = f"{VERTEX}{GEMINI}".replace("gemini-3.8-flash", "text-embedding-005")
        answer = http.post(f"{url}:predict", json={"instances": [{"content": "four"}]}, headers=bearer).json()
        assert answer["predictions"][0]["embeddings"]["statistics"]["token_count"] == 1
        body = {"content": {"parts": [{"text": "four"}]}, "outputDimensionality": 128}
        answer = http.post(f"{url}:embedContent", json=body, headers=bearer).json()
        assert len(answer["embedding"]["values"]) == 128

    @pytest.mark.parametrize("streamed", [False, True])
    def test_claude_speaks_anthropics_format(
        self, world: OutsideWorld, http: httpx.Client, bearer: dict[str, str], streamed: bool
    ) -> None:
        path = "/v1/projects/acme-llm/locations/us-east5/publishers/anthropic/models/claude-sonnet-5-5"
        body = {"anthropic_version": "vertex-2023-10-16", "max_tokens": 100, "stream": streamed, "messages": user("Hi")}
        verb = "streamRawPredict" if streamed else "rawPredict"
        answer = http.post(f"https://us-east5-aiplatform.googleapis.com{path}:{verb}", headers=bearer, json=body)
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
        text = "".join(delta["text"] for delta in deltas) if streamed else answer.json()["content"][0]["text"]
        assert text.startswith(COMPLETION_PHRASE)
        (call,) = [call for call in world.calls() if call.model]
        assert (call.model, call.region, call.streamed) == ("claude-sonnet-5-5", "us-east5", streamed)
        assert call.usage.output_tokens == count_tokens(text)

    @pytest.mark.parametrize(
        ("location", "publisher", "status"),
        [("us-east5", "anthropic", 200), ("us-central1", "anthropic", 404), ("us-east5", "mistralai", 404)],
    )
    def test_claudes_tokens_are_counted_in_some_locations(
        self,
        world: OutsideWorld,
        http: httpx.Client,
        bearer: dict[str, str],
        location: str,
        publisher: str,
        status: int,
    ) -> None:
        path = f"/v1/projects/acme-llm/locations/{location}/publishers/{publisher}/models/count-tokens:rawPredict"
        body = {"model": "claude-sonnet-5-5", "messages": user(LONG)}
        answer = http.post(f"https://{location}-aiplatform.googleapis.com{path}", headers=bearer, json=body)
        assert answer.status_code == status
        if status == 200:
            assert answer.json() == {"input_tokens": count_tokens(LONG)}
        (call,) = [call for call in world.calls() if call.model]
        assert (call.operation, call.model, call.usage) == ("count-tokens", "claude-sonnet-5-5", Usage())

    def test_other_partners_speak_openais(
        self, world: OutsideWorld, http: httpx.Client, bearer: dict[str, str]
    ) -> None:
        url = f"{VERTEX}/v1/projects/acme-llm/locations/us-central1/endpoints/openapi/chat/completions"
        body = {"model": "meta/llama-4", "messages": [{"role": "user", "content": "Hi"}]}
        answer = http.post(url, headers=bearer, json=body).json()
        assert answer["choices"][0]["message"]["content"].startswith(COMPLETION_PHRASE)
        assert [call.model for call in world.calls() if call.model] == ["meta/llama-4"]

    def test_no_or_a_foreign_token_is_refused(self, http: httpx.Client) -> None:
        answer = http.post(f"{VERTEX}{GEMINI}:generateContent", json={}, headers={"authorization": "Bearer ya29.1.x"})
        assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")

    def test_an_assertion_is_checked(self, world: OutsideWorld, http: httpx.Client) -> None:
        good = self.assertion(world)
        for bad in (
            "not.a-jwt",
            good[:-8] + ("AAAAAAAA" if not good.endswith("AAAAAAAA") else "BBBBBBBB"),
            self.assertion(world, aud="https://example.com"),
            self.assertion(world, iss="someone@example.com"),
            self.assertion(world, exp=int(time.time()) - 1),
            self.assertion(world, scope="email"),
        ):
            answer = self.exchange(http, bad)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")

    def test_throttled(self, world: OutsideWorld, http: httpx.Client) -> None:
        world.set_fault("us-central1-aiplatform.googleapis.com", Fault(status=429))
        answer = http.post(f"{VERTEX}{GEMINI}:generateContent", json={})
        assert (answer.status_code, answer.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
        assert "retry-after" not in answer.headers


class TestReporting:
    INTAKE = "https://http-intake.logs.ap1.datadoghq.com/api/v2/logs"

    def test_datadog_keeps_gzipped_logs_whole(self, world: OutsideWorld, http: httpx.Client) -> None:
        logs = [{"ddsource": "litellm", "message": json.dumps({"model": "m"})}, {"message": "two"}]
        headers = {"dd-api-key": world.credentials.dd_api_key, "content-encoding": "gzip"}
        answer = http.post(self.INTAKE, content=gzip.compress(json.dumps(logs).encode()), headers=headers)
        assert (answer.status_code, world.datadog()) == (202, logs)

    def test_datadog_refuses_a_wrong_key_and_what_is_not_gzip(self, world: OutsideWorld, http: httpx.Client) -> None:
        assert http.post(self.INTAKE, json=[], headers={"dd-api-key": "wrong"}).status_code == 403
        headers = {"dd-api-key": world.credentials.dd_api_key, "content-encoding": "gzip"}
        assert http.post(self.INTAKE, content=b"[]", headers=headers).status_code == 400
        assert world.datadog() == []

    def test_slack_keeps_messages(self, world: OutsideWorld, http: httpx.Client) -> None:
        answer = http.post(world.credentials.slack_webhook_url, json={"text": "budget"})
        assert (answer.text, world.slack()) == ("ok", [{"text": "budget"}])

    def test_slack_knows_only_its_web_hook(self, world: OutsideWorld, http: httpx.Client) -> None:
        answer = http.post("https://hooks.slack.com/services/T0/B0/x", json={"text": "budget"})
        assert (answer.status_code, answer.text, world.slack()) == (404, "no_service", [])
