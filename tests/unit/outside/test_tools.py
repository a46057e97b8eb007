"""Tools and JSON Schemas with each simulated provider, in each of its formats, plain and streamed."""

import json
import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import openai
import pytest
from botocore.exceptions import ClientError
from pydantic import BaseModel

from local.outside.completion import COMPLETION_PHRASE, JSON_MODE, SCHEMA_TOOL
from local.outside.json_schema import value
from local.outside.world import OutsideWorld
from tests.unit.outside import test_providers as providers

Json = dict[str, Any]

PATH: Json = {"path": "/tmp/notes.txt"}  # noqa: S108  # a file of nobody's: it is never opened
WORDS = f"Please call the tool read with {json.dumps(PATH)}"
SCHEMA: Json = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
TEXT = "What the file says."
FREE, FORCED = "us.anthropic.claude-haiku-5-5", "us.anthropic.claude-sonnet-5-5"  # the second takes no forced tool


class Answer(BaseModel):
    """What the answer is asked to be."""

    city: str
    weather: Literal["rain", "sun"]
    days: list[int]


ANSWER: Json = {**Answer.model_json_schema(), "additionalProperties": False}
FITTING = Answer.model_validate(value(ANSWER))


@dataclass(frozen=True)
class Place:
    """Where the providers are reached, by each one's own client."""

    bedrock: Any
    azure: openai.AzureOpenAI
    http: httpx.Client
    bearer: str


@pytest.fixture(scope="module")
def place(running: OutsideWorld) -> Iterator[Place]:
    context = ssl.create_default_context(cafile=str(running.ca_file))
    proxied: Json = {"proxy": running.proxy_url, "verify": context, "trust_env": False}
    with httpx.Client(**proxied) as http, openai.DefaultHttpxClient(**proxied) as sdk:
        token = providers.TestGoogle.exchange(http, providers.TestGoogle.assertion(running)).json()["access_token"]
        yield Place(providers.bedrock(running), providers.azure(running, sdk), http, f"Bearer {token}")


Said = tuple[str, Json | None]
"""The text of an answer, and the tool that it calls."""


def of_converse(place: Place, stream: bool, prompt: str, result: str = "", **more: Any) -> Said:  # noqa: ANN401 - of the API
    messages: list[Json] = [{"role": "user", "content": [{"text": prompt}]}]
    if result:
        use = {"toolUseId": "t1", "name": "read", "input": PATH}
        answer = {"toolUseId": "t1", "content": [{"text": result}]}
        messages += [
            {"role": "assistant", "content": [{"toolUse": use}]},
            {"role": "user", "content": [{"toolResult": answer}]},
        ]
    tools = {"tools": [{"toolSpec": {"name": "read", "inputSchema": {"json": SCHEMA}}}]}
    request = {"modelId": FREE, "messages": messages, "toolConfig": tools, **more}
    request = {name: given for name, given in request.items() if given is not None}
    if not stream:
        (block,) = place.bedrock.converse(**request)["output"]["message"]["content"]
        use = block.get("toolUse")
        return block.get("text", ""), use and {"name": use["name"], "arguments": use["input"]}
    events = list(place.bedrock.converse_stream(**request)["stream"])
    names = [event["contentBlockStart"]["start"]["toolUse"]["name"] for event in events if "contentBlockStart" in event]
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    pieces = "".join(delta["toolUse"]["input"] if names else delta["text"] for delta in deltas)
    return ("", {"name": names[0], "arguments": json.loads(pieces)}) if names else (pieces, None)


def of_invoke(place: Place, stream: bool, prompt: str | list[Json], result: str = "", **more: Any) -> Said:  # noqa: ANN401 - of the API
    messages: list[Json] = [{"role": "user", "content": prompt}]
    if result:
        use = {"type": "tool_use", "id": "t1", "name": "read", "input": PATH}
        answer = {"type": "tool_result", "tool_use_id": "t1", "content": result}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [answer]}]
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 1000,
        "messages": messages,
        "tools": [{"name": "read", "input_schema": SCHEMA}],
        **more,
    }
    model = body.pop("model", FREE)
    if not stream:
        (block,) = json.loads(place.bedrock.invoke_model(modelId=model, body=json.dumps(body))["body"].read())[
            "content"
        ]
        called = {"name": block["name"], "arguments": block["input"]} if block["type"] == "tool_use" else None
        return block.get("text", ""), called
    chunks = place.bedrock.invoke_model_with_response_stream(modelId=model, body=json.dumps(body))["body"]
    events = [json.loads(event["chunk"]["bytes"]) for event in chunks]
    (begun,) = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    if begun["type"] == "tool_use":
        pieces = "".join(delta["partial_json"] for delta in deltas)
        return "", {"name": begun["name"], "arguments": json.loads(pieces)}
    return "".join(delta["text"] for delta in deltas), None


def of_chat(place: Place, stream: bool, prompt: str, result: str = "", **more: Any) -> Said:  # noqa: ANN401 - of the API
    messages: list[Json] = [{"role": "user", "content": prompt}]
    if result:
        call = {"id": "t1", "type": "function", "function": {"name": "read", "arguments": json.dumps(PATH)}}
        messages += [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "t1", "content": result},
        ]
    function = {"name": "read", "parameters": SCHEMA}
    request = {"model": "gpt", "messages": messages, "tools": [{"type": "function", "function": function}], **more}
    if stream:
        chunks = list(place.azure.chat.completions.create(**request, stream=True))
        parts = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    else:
        parts = [place.azure.chat.completions.create(**request).choices[0].message]
    calls = [call.function for part in parts for call in part.tool_calls or []]
    pieces = "".join(call.arguments for call in calls)
    called = {"name": calls[0].name, "arguments": json.loads(pieces)} if calls else None
    return "".join(part.content or "" for part in parts), called


def of_responses(place: Place, stream: bool, prompt: str, result: str = "", **more: Any) -> Said:  # noqa: ANN401 - of the API
    items: list[Json] = [{"role": "user", "content": [{"type": "input_text", "text": prompt}]}]
    if result:
        items += [
            {"type": "function_call", "call_id": "t1", "name": "read", "arguments": json.dumps(PATH)},
            {"type": "function_call_output", "call_id": "t1", "output": result},
        ]
    tools = [{"type": "function", "name": "read", "parameters": SCHEMA, "strict": True}]
    request = {"model": "gpt", "input": items, "tools": tools, **more}
    if stream:
        events = list(place.azure.responses.create(**request, stream=True))
        response = events[-1].response
    else:
        events, response = [], place.azure.responses.create(**request)
    (item,) = response.output
    called = item.type == "function_call"
    kinds = ("response.output_text.delta", "response.function_call_arguments.delta")
    pieces = "".join(event.delta for event in events if event.type in kinds)
    assert pieces in ("", item.arguments if called else response.output_text)
    return response.output_text, {"name": item.name, "arguments": json.loads(item.arguments)} if called else None


def of_gemini(place: Place, stream: bool, prompt: str, result: str = "", **more: Any) -> Said:  # noqa: ANN401 - of the API
    contents: list[Json] = [{"role": "user", "parts": [{"text": prompt}]}]
    if result:
        contents += [
            {"role": "model", "parts": [{"functionCall": {"name": "read", "args": PATH}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "read", "response": {"output": result}}}]},
        ]
    declared = [{"name": "read", "parametersJsonSchema": SCHEMA}]
    body = {"contents": contents, "tools": [{"functionDeclarations": declared}], **more}
    operation = "streamGenerateContent?alt=sse" if stream else "generateContent"
    answer = place.http.post(
        f"{providers.VERTEX}{providers.GEMINI}:{operation}", json=body, headers={"authorization": place.bearer}
    )
    if answer.is_error:
        raise httpx.HTTPStatusError(answer.json()["error"]["message"], request=answer.request, response=answer)
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line] if stream else [answer.text]
    parts = [part for line in lines for part in json.loads(line)["candidates"][0]["content"]["parts"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    called = {"name": calls[0]["name"], "arguments": calls[0]["args"]} if calls else None
    return "".join(part.get("text", "") for part in parts), called


Ask = Callable[..., Said]
FORMATS: dict[str, Ask] = {
    "converse": of_converse,
    "invoke": of_invoke,
    "chat": of_chat,
    "responses": of_responses,
    "gemini": of_gemini,
}
ASKED = [
    pytest.param(ask, stream, id=f"{name}{'-streamed' * stream}")
    for name, ask in FORMATS.items()
    for stream in (False, True)
]


@pytest.mark.parametrize(("ask", "stream"), ASKED)
class TestToldByThePrompt:
    def test_the_tool_is_called_with_what_the_prompt_says(self, place: Place, ask: Ask, stream: bool) -> None:
        assert ask(place, stream, WORDS) == ("", {"name": "read", "arguments": PATH})

    def test_its_result_is_answered(self, place: Place, ask: Ask, stream: bool) -> None:
        text, called = ask(place, stream, WORDS, TEXT)
        assert (text.startswith(COMPLETION_PHRASE), text.endswith(TEXT), called) == (True, True, None)

    def test_the_next_one_is_called_after_a_result(self, place: Place, ask: Ask, stream: bool) -> None:
        other = {"path": "/tmp/other.txt"}  # noqa: S108  # never opened
        _, called = ask(place, stream, f"{WORDS}, then call the tool read with {json.dumps(other)}", TEXT)
        assert called == {"name": "read", "arguments": other}

    def test_a_tool_that_is_not_there_is_not_called(self, place: Place, ask: Ask, stream: bool) -> None:
        text, called = ask(place, stream, "Call the tool write.")
        assert ("there is no such tool among read." in text, called) == (True, None)


def native(schema: Json) -> Json:
    """How Converse has it: as a text."""
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": json.dumps(schema)}}}}


WANTED: list[tuple[Ask, Json]] = [
    (of_converse, {"outputConfig": native(ANSWER)}),
    (of_invoke, {"output_config": {"format": {"type": "json_schema", "schema": ANSWER}}}),
    (
        of_chat,
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": ANSWER, "strict": True}}},
    ),
    (of_responses, {"text": {"format": {"type": "json_schema", "name": "a", "schema": ANSWER, "strict": True}}}),
    (of_gemini, {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": ANSWER}}),
    (of_gemini, {"generation_config": {"response_mime_type": "application/json", "response_schema": ANSWER}}),
]


@pytest.mark.parametrize("stream", [False, True])
class TestJson:
    @pytest.mark.parametrize(("ask", "wanted"), WANTED)
    def test_the_answer_is_a_value_of_the_schema(self, place: Place, ask: Ask, wanted: Json, stream: bool) -> None:
        text, called = ask(place, stream, "Weather?", **wanted)
        assert (Answer.model_validate_json(text), called) == (FITTING, None)

    @pytest.mark.parametrize(
        ("ask", "wanted"),
        [
            (of_chat, {"response_format": {"type": "json_object"}}),
            (of_responses, {"text": {"format": {"type": "json_object"}}}),
            (of_gemini, {"generationConfig": {"responseMimeType": "application/json"}}),
        ],
    )
    def test_json_without_a_schema(self, place: Place, ask: Ask, wanted: Json, stream: bool) -> None:
        assert json.loads(ask(place, stream, "Weather as JSON?", **wanted)[0]) == value(JSON_MODE)

    @pytest.mark.parametrize("model", [FREE, FORCED])
    def test_litellms_ways_to_ask_a_model_that_has_none(self, place: Place, model: str, stream: bool) -> None:
        tool = {"name": SCHEMA_TOOL, "input_schema": ANSWER}
        _, called = of_invoke(place, stream, "Weather?", model=model, tools=[tool])
        assert called == {"name": SCHEMA_TOOL, "arguments": FITTING.model_dump()}
        inlined = [{"type": "text", "text": text} for text in ("Weather?", json.dumps(ANSWER))]
        assert Answer.model_validate_json(of_invoke(place, stream, inlined, model=model, tools=[])[0]) == FITTING

    def test_what_is_called_by_force_has_a_value_of_its_schema(self, place: Place, stream: bool) -> None:
        tools = [{"name": "read", "input_schema": SCHEMA}, {"name": "answer", "input_schema": ANSWER}]
        choice = {"type": "tool", "name": "answer"}
        _, called = of_invoke(place, stream, "Weather?", tools=tools, tool_choice=choice)
        assert called == {"name": "answer", "arguments": FITTING.model_dump()}


def test_openais_own_parsing(place: Place) -> None:
    messages: Any = [{"role": "user", "content": "Weather?"}]
    chat = place.azure.chat.completions.parse(model="gpt", messages=messages, response_format=Answer)
    assert chat.choices[0].message.parsed == FITTING
    assert place.azure.responses.parse(model="gpt", input=messages, text_format=Answer).output_parsed == FITTING


def test_a_tool_of_openais_that_takes_text(place: Place) -> None:
    """As Codex has one to change files."""
    patch = json.dumps({"input": "*** Begin Patch"})
    events = list(
        place.azure.responses.create(
            model="gpt",
            input=f"Call the tool apply_patch with {patch}.",
            tools=[{"type": "custom", "name": "apply_patch"}],
            stream=True,
        )
    )
    pieces = "".join(event.delta for event in events if event.type == "response.custom_tool_call_input.delta")
    assert events[-1].type == "response.completed"
    (item,) = events[-1].response.output
    assert item.type == "custom_tool_call"
    assert (item.name, item.input, pieces) == ("apply_patch", "*** Begin Patch", "*** Begin Patch")


def test_tools_that_an_item_of_the_input_brings(place: Place) -> None:
    """As Codex brings all of its own, by namespace."""
    tools: Any = [{"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}]
    answer = place.azure.responses.create(
        model="gpt",
        input=[
            {"type": "additional_tools", "role": "developer", "tools": tools},
            {"type": "message", "role": "user", "content": 'Call the tool exec with {"input": "1 + 1"}.'},
        ],
    )
    (item,) = answer.output
    assert item.type == "custom_tool_call"
    assert (item.name, item.input) == ("exec", "1 + 1")


OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
NAMED = {"type": "function", "function": {"name": "write"}}
OPENAIS: list[tuple[Ask, Json, str]] = [
    (of_chat, {"tool_choice": NAMED}, "Tool choice 'write' not found in 'tools' parameter."),
    (of_chat, {"tools": [], "tool_choice": "auto"}, "'tool_choice' is only allowed when 'tools' are specified"),
    (of_chat, {"response_format": {"type": "json_object"}}, "'messages' must contain the word 'json' in some form"),
    (of_chat, {"response_format": {"type": "xml"}}, "Invalid value: 'xml'"),
    (
        of_chat,
        {"response_format": {"type": "json_schema"}},
        "Missing required parameter: 'response_format.json_schema.n",
    ),
    (of_chat, {"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": OPEN}}}, "pattern"),
    (
        *(
            of_chat,
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": OPEN, "strict": True}}},
        ),
        "Invalid schema for response_format 'a': In context=(), 'additionalProperties' is required",
    ),
    (of_responses, {"tool_choice": {"type": "function", "name": "write"}}, "Tool choice 'write' not found in 'tools'"),
    (of_responses, {"text": {"format": {"type": "json_object"}}}, "Response input messages must contain the word"),
    (of_responses, {"text": {"format": {"type": "json_schema", "name": "a"}}}, "parameter: 'text.format.schema'"),
    (
        *(of_responses, {"tools": [{"type": "function", "name": "a", "parameters": OPEN, "strict": True}]}),
        "Invalid schema for function 'a': In context=(), 'additionalProperties' is required",
    ),
]
OTHERS: list[tuple[Ask, Json, str]] = [
    (of_invoke, {"tool_choice": {"type": "tool", "name": "write"}}, "Tool 'write' not found in provided tools"),
    (of_invoke, {"tool_choice": {"type": "any"}, "tools": []}, "tool_choice.any may only be specified while providing"),
    (
        of_invoke,
        {"model": FORCED, "tool_choice": {"type": "any"}},
        'type "tool" and "any" are not supported for this m',
    ),
    (of_invoke, {"tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}}, "Thinking may not be enabled when"),
    (of_invoke, {"tools": [{"name": "a", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
    (of_invoke, {"tools": [{"name": "a", "input_schema": {"anyOf": []}}]}, "does not support oneOf, allOf, or anyOf"),
    (of_invoke, {"output_config": {"format": {"type": "json_object"}}}, "type: Input should be 'json_schema'"),
    (of_invoke, {"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema: Field required"),
    (
        of_invoke,
        {"output_config": {"format": {"type": "json_schema", "schema": OPEN}}},
        "must be explicitly set to false",
    ),
    (
        of_converse,
        {"outputConfig": native(OPEN)},
        "The model returned the following errors: output_config.format.schema",
    ),
    (
        of_gemini,
        {"tools": [], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        "without function_declarations",
    ),
    (
        *(of_gemini, {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["write"]}}}),
        "allowed_function_names should be a subset of the provided function_declarations",
    ),
    (of_gemini, {"tools": [{"functionDeclarations": [{"name": "1"}]}]}, "Invalid function name."),
    (
        of_gemini,
        {"tools": [{"functionDeclarations": [{"name": "a", "parameters": {"a": 1}}]}]},
        "the schema type field",
    ),
    (of_gemini, {"generationConfig": {"responseSchema": OPEN}}, "response_mime_type must be set to `application/json`"),
    (
        of_gemini,
        {"generationConfig": {"responseSchema": OPEN, "responseJsonSchema": OPEN}},
        "response_schema must be om",
    ),
    *(
        (of_converse, {"toolConfig": config}, words)
        for config, words in (
            (
                {"tools": [{"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "array"}}}}]},
                "should be 'object'",
            ),
            (
                {
                    "tools": [{"toolSpec": {"name": "read", "inputSchema": {"json": SCHEMA}}}],
                    "toolChoice": {"tool": {"name": "write"}},
                },
                "The model returned the following errors: Tool 'write' not found in provided tools",
            ),
        )
    ),
]


@pytest.mark.parametrize(("ask", "wrong", "words"), [*OPENAIS, *OTHERS])
def test_what_is_asked_wrongly_is_refused_in_the_providers_words(
    place: Place, ask: Ask, wrong: Json, words: str
) -> None:
    with pytest.raises((openai.BadRequestError, ClientError, httpx.HTTPStatusError), match=re.escape(words)):
        ask(place, False, "Weather?", **wrong)


def test_converse_wants_the_tools_of_a_conversation_that_had_some(place: Place) -> None:
    with pytest.raises(ClientError, match="The toolConfig field must be defined when using toolUse and toolResult"):
        of_converse(place, False, WORDS, TEXT, toolConfig=None)


@pytest.mark.parametrize(
    ("ask", "none"),
    [
        (of_invoke, {"tool_choice": {"type": "none"}}),
        (of_chat, {"tool_choice": "none"}),
        (of_responses, {"tool_choice": "none"}),
        (of_gemini, {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}),
    ],
)
def test_no_tool_is_called_where_none_may_be(place: Place, ask: Ask, none: Json) -> None:
    text, called = ask(place, False, WORDS, **none)
    assert (text.startswith(COMPLETION_PHRASE), called) == (True, None)
