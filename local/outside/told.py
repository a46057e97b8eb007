"""What a prompt's own words tell the simulated model to do: which tools to ask for, one after the other.

- `call the tool NAME with {"a": 1}` asks for the tool of that name with those arguments, `call the tool NAME` with an
  example of them. Several in one prompt are asked for one after the other, each when the one before has its result.
- `use the tool` asks for the first tool of the request with an example of its arguments.

Only what the user wrote in this turn counts: all of it since the model's last answer that called no tool, so that a
client may put reminders beside the prompt and beside a tool's result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

TOOL_MARKER = "use the tool"
_CALL = re.compile(r"call the tool ([\w-]+(?:[.:/][\w-]+)*)(?:\s+with\s+(?=\{))?", re.IGNORECASE)

Event = tuple[Literal["asked", "answered", "called", "result"], str]
"""One step of a conversation with its text: the user asks, the model answers or calls a tool, the tool has a result."""


@dataclass(frozen=True, slots=True)
class Told:
    """A tool to ask for: "" is the first that there is. Without `arguments` with an example of them."""

    name: str = ""
    arguments: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user has written since the model's last answer, and the results of the tools that it called since."""

    asked: str = ""
    results: tuple[str, ...] = ()

    @classmethod
    def of(cls, events: Iterable[Event]) -> Turn:
        """Read the last turn of a conversation; empty if the model has had the last word."""
        asked: list[str] = []
        results: list[str] = []
        ended = False
        for kind, text in events:
            if kind == "asked":
                if ended:
                    asked, results = [], []
                asked.append(text)
            elif kind == "result":
                results.append(text)
            ended = kind == "answered"
        return cls() if ended else cls("\n".join(asked), tuple(results))

    def next_call(self) -> Told | None:
        """Return what is to be asked for now: of what the words say the one after those that have their results.

        Raises
        ------
        ValueError
            What a tool is to be called with is not a JSON object.
        """
        told = _told(self.asked)
        return told[len(self.results)] if len(self.results) < len(told) else None


def _told(words: str) -> list[Told]:
    calls = [Told(match[1], _arguments(words, match)) for match in _CALL.finditer(words)]
    return calls or [Told()] * (TOOL_MARKER in words.lower())


def _arguments(words: str, match: re.Match[str]) -> dict[str, Any] | None:
    if not match[0].endswith(tuple(" \n\t")):
        return None
    try:
        arguments, _ = json.JSONDecoder().raw_decode(words, match.end())
    except ValueError as error:
        raise ValueError(f"What the tool {match[1]} is to be called with is not a JSON object.") from error
    return dict(arguments)
