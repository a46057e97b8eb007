"""The model behind every simulated provider: one deterministic answer, and one rule for counting tokens.

- Tokens of a text: its characters divided by four, rounded up. A prompt's text is all its texts (system prompt,
  messages, tool calls and tool results; neither tool definitions nor media) joined with one line feed each. An image
  is `IMAGE_TOKENS`, whatever its size.
- The answer begins with `COMPLETION_PHRASE`, then has a number made from model and prompt and up to 23 filler words:
  the same request has the same text, and no answer repeats a word of its prompt.
- A tool is called if the request demands one, or if its last message is the user's and says "use the tool".
- The model thinks first if the request turns thinking on in its format. It thinks for 64 to 319 tokens, which are
  output, and shows fewer, as with the providers: what is shown is a summary, what is billed is the whole.
- What of a prompt is cached is told in `prompt_cache`. Images are not.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from local.outside.prompt_cache import CHARACTERS_PER_TOKEN, Prefix, PromptCache, count
from local.outside.records import Json, Usage

IMAGE_TOKENS = 1120
"""What Gemini 3 and later count for an image at the default resolution; the others count by its width and height."""
COMPLETION_PHRASE = "Answer of the simulated provider"
TOOL_MARKER = "use the tool"
_FILLER = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")
_CHUNK_CHARACTERS = 16
# Under these keys of a message are texts, or parts with texts; media are under others.
_TEXT_KEYS = {
    *("arguments", "content", "input", "output", "parts", "text"),
    *("function", "functionCall", "functionResponse", "toolResult", "toolUse", "tool_calls"),
}
# Objects under these are what a tool is given or gives: they count as their JSON.
_JSON_KEYS = {"args", "input", "json", "response"}


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call: its name and the JSON Schema of its arguments."""

    name: str
    schema: Json


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's wish to have a tool called."""

    name: str
    arguments: Json
    number: str

    def arguments_json(self) -> str:
        """Return the arguments as OpenAI and Anthropic stream them."""
        return json.dumps(self.arguments)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request to a model, whatever the provider's format.

    `last_text` is the text of the last message if it is the user's own, else "". `forced_tool` is a tool's name, or
    "*" for any. `prefixes` are those that its cache is asked for, the shortest first.
    """

    model: str
    text: str
    last_text: str = ""
    tools: tuple[Tool, ...] = ()
    forced_tool: str = ""
    max_tokens: int | None = None
    prefixes: tuple[Prefix, ...] = ()
    images: int = 0
    thinks: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer: a text or a tool call, and what is shown of the thoughts before it."""

    text: str
    tool_call: ToolCall | None
    finish: Literal["stop", "length", "tool"]
    thoughts: str = ""
    reasoning_tokens: int = 0
    # Of each answer its own, as with the providers: LiteLLM counts a second answer with the same id as the first.
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def output_tokens(self) -> int:
        """Return the answer's tokens by the rule of this module, thoughts included."""
        return self.reasoning_tokens + count_tokens(self.tool_call.arguments_json() if self.tool_call else self.text)

    def chunks(self) -> list[str]:
        """Return the text, or the tool call's arguments as JSON, in the pieces that a stream carries."""
        whole = self.tool_call.arguments_json() if self.tool_call else self.text
        return pieces(whole)


@dataclass
class Model:
    """The model behind one provider, with its caches."""

    cache: PromptCache = field(default_factory=PromptCache)

    def answer(self, host: str, prompt: Prompt) -> tuple[Completion, Usage]:
        """Answer a prompt, always alike, return the tokens of the call with it, and have its prefixes cached."""
        completion = _complete(prompt)
        # Tools are before the prompt: with others its prefix is another one.
        used = self.cache.use((host, repr(prompt.tools)), prompt.model, prompt.text, prompt.prefixes)
        image_tokens = prompt.images * IMAGE_TOKENS
        usage = Usage(
            input_tokens=count_tokens(prompt.text) + image_tokens,
            output_tokens=completion.output_tokens(),
            cached_tokens=used.read,
            cache_write_tokens=used.written.total() - used.written["free"],
            cache_write_1h_tokens=used.written["1h"],
            reasoning_tokens=completion.reasoning_tokens,
            image_tokens=image_tokens,
        )
        return completion, usage


def count_tokens(text: str) -> int:
    """Return the tokens of a text: its characters divided by four, rounded up."""
    return count(len(text))


def pieces(text: str) -> list[str]:
    """Return a text in the pieces that a stream carries."""
    return [text[start : start + _CHUNK_CHARACTERS] for start in range(0, len(text), _CHUNK_CHARACTERS)]


def _complete(prompt: Prompt) -> Completion:
    digest = _digest(prompt.model, prompt.text)
    number = digest[:12]
    thoughts = f"Thoughts of the simulated provider, number {number}." if prompt.thinks else ""
    reasoning = 64 + int(digest[8:10], 16) if prompt.thinks else 0
    tool = _wanted_tool(prompt)
    if tool is not None:
        return Completion("", ToolCall(tool.name, example(tool.schema), number), "tool", thoughts, reasoning)
    filler = "".join(f" {_FILLER[(int(digest[:4], 16) + i) % 8]}" for i in range(int(digest[4:8], 16) % 24))
    text = f"{COMPLETION_PHRASE}, number {number}:{filler}."
    limit = CHARACTERS_PER_TOKEN * max((prompt.max_tokens or reasoning + len(text)) - reasoning, 0)
    return Completion(text[:limit], None, "stop" if len(text) <= limit else "length", thoughts, reasoning)


def embedding(text: str, dimensions: int) -> list[float]:
    """Return the vector of a text: deterministic, of length 1, with that many dimensions."""
    raw = hashlib.shake_256(text.encode()).digest(dimensions)
    centred = [byte - 127.5 for byte in raw]
    length = sum(value * value for value in centred) ** 0.5
    return [value / length for value in centred]


def example(schema: Json) -> Any:  # noqa: ANN401  # any JSON value
    """Return a value that fits a JSON Schema, as far as tools' schemas usually go."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        return {name: example(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema.get("items", {}))]
    return {"integer": 1, "number": 1.5, "boolean": True, "null": None}.get(kind, "example")


def strings(node: object) -> Iterator[str]:
    """Yield the texts inside a message or a part of one, in any provider's format, without media."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from strings(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in _JSON_KEYS and isinstance(value, dict):
                yield json.dumps(value)
            elif key in _TEXT_KEYS:
                yield from strings(value)


def own_text(content: object) -> str:
    """Return the text that a message's author wrote in it: no tool results."""
    parts = content if isinstance(content, list) else [content]
    texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "\n".join(text for text in texts if isinstance(text, str))


def join_texts(nodes: Iterable[object]) -> str:
    """Return a prompt's text from its messages or parts, in order."""
    return "\n".join(text for node in nodes for text in strings(node))


def _wanted_tool(prompt: Prompt) -> Tool | None:
    if not prompt.tools:
        return None
    if prompt.forced_tool:
        return next((tool for tool in prompt.tools if tool.name == prompt.forced_tool), prompt.tools[0])
    return prompt.tools[0] if TOOL_MARKER in prompt.last_text.lower() else None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
