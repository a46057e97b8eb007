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
# What names in code are made of, and what stands between them: a tokenizer has no single token for most of them.
_PARTS: Final = (
    "get",
    "set",
    "User",
    "Account",
    "config",
    "parse",
    "Http",
    "Client",
    "value",
    "Error",
    "test",
    "async",
)
_PROSE: Final = (
    "the",
    "file",
    "is",
    "not",
    "found",
    "because",
    "it",
    "was",
    "moved",
    "to",
    "another",
    "module",
)
_MARKS: Final = ("(", ")", ":", ",", "=", " = ", " -> ", "[", "]", ".", "\n    ", "\n", " # ", " {", "}", '"', " ")


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
    turns = max(1, round(size / _TURN)) // 2 * 2 + 1  # the first and the last are the user's
    messages = [
        {"role": ("user", "assistant")[turn % 2], "content": _text(draw, size // turns)} for turn in range(turns)
    ]
    messages[-1]["content"] += f" {QUESTION}"
    return messages


def _text(draw: random.Random, length: int) -> str:
    """Something between code and prose."""
    pieces: list[str] = []
    written = 0
    while written < length:
        if draw.random() < 0.5:
            piece = "_".join(draw.choices(_PARTS, k=draw.randint(1, 3))) + str(draw.choice(("", draw.randint(0, 9999))))
        else:
            piece = " ".join(draw.choices(_PROSE, k=draw.randint(2, 6)))
        pieces += (piece, draw.choice(_MARKS))
        written += len(pieces[-2]) + len(pieces[-1])
    return "".join(pieces)[:length]


def _chat(model: str, messages: list[dict[str, str]], *, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": messages, "stream": stream}


def _messages(model: str, messages: list[dict[str, str]], *, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": messages, "stream": stream, "max_tokens": 1024}


def _responses(model: str, messages: list[dict[str, str]], *, stream: bool) -> dict[str, Any]:
    return {"model": model, "input": messages, "stream": stream}
