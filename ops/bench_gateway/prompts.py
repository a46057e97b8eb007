"""The bodies that are sent: a person's short question, and what a coding agent sends.

Each has a place for a number of its own (`generator.NUMBER`), at its end: what comes before is the same again, as in
the turns of a conversation.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

NUMBER: Final = "@NUMBER@"
CHAT: Final = "/v1/chat/completions"
MESSAGES: Final = "/v1/messages"
RESPONSES: Final = "/v1/responses"
ROUTES: Final = (MESSAGES, CHAT, RESPONSES)
QUESTION: Final = f"hey {NUMBER}"
_TURN: Final = 4000  # characters of one message of an agent's conversation, about a file's part or a tool's output
_WORDS: Final = (
    *("def", "return", "import", "class", "self", "raise", "for", "in", "if", "None", "path", "value", "error", "test"),
    *("the", "file", "is", "not", "found", "at", "line", "{", "}", "(", ")", "=", "->", ":", "#", '"name"', "0x1f", "42"),
)


def short(model: str, *, stream: bool) -> dict[str, Any]:
    """One message of a person."""
    return _chat(model, [{"role": "user", "content": QUESTION}], stream=stream)


def agent(route: str, model: str, size: int) -> dict[str, Any]:
    """A streamed request of a coding agent: a long conversation of about `size` bytes, of which the last is new."""
    shapes: dict[str, Callable[..., dict[str, Any]]] = {CHAT: _chat, MESSAGES: _messages, RESPONSES: _responses}
    return shapes[route](model, conversation(size), stream=True)


def conversation(size: int) -> list[dict[str, str]]:
    """Messages in turn of about so many bytes; the same for the same size."""
    draw = random.Random(size)  # noqa: S311 - nothing secret
    messages: list[dict[str, str]] = []
    length = 0
    while length < size - _TURN or len(messages) % 2 == 0:
        words, written = [], 0
        while written < _TURN:
            words.append(draw.choice(_WORDS))
            written += len(words[-1]) + 1
        messages.append({"role": ("user", "assistant")[len(messages) % 2], "content": " ".join(words)})
        length += written
    messages[-1]["content"] += f" {QUESTION}"
    return messages


def _chat(model: str, messages: list[dict[str, str]], *, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": messages, "stream": stream}


def _messages(model: str, messages: list[dict[str, str]], *, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": messages, "stream": stream, "max_tokens": 1024}


def _responses(model: str, messages: list[dict[str, str]], *, stream: bool) -> dict[str, Any]:
    return {"model": model, "input": messages, "stream": stream}
