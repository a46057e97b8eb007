"""A file on its way here: its document, its variables and secrets, and the notes of what becomes of all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ops.importing.ledger import Fate, Ledger
from ops.importing.secret import Hidden
from ops.importing.tree import Tree
from ops.importing.variables import Variables
from stacks.litellm_config.file import Place
from stacks.litellm_config.variables import REFERENCE

_WORD: Final = r"[\w./:*@ +-]{1,60}"
"""What an entry or an item may be called for a person to know it by."""

SECTIONS: Final = ("general_settings", "litellm_settings", "router_settings")


@dataclass(frozen=True)
class Met:
    """A variable where it is set: what becomes of it is known once config.yaml is."""

    file: str
    place: Place
    label: str
    name: str


@dataclass
class Bringing:
    """All that is known of the file so far."""

    file: str
    tree: Tree
    ledger: Ledger = field(default_factory=Ledger)
    variables: Variables = field(default_factory=Variables)
    hidden: Hidden = field(default_factory=Hidden)
    met: list[Met] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)  # names of secrets by their values, which stay in here
    from_fields: dict[str, list[str]] = field(default_factory=dict)  # by a secret's name, where its value was written
    used: set[str] = field(default_factory=set)  # variables whose values are written out
    presets: dict[str, Any] = field(default_factory=dict)  # answers to questions of `make init`

    def label(self, place: Place) -> str:
        """How a person calls a place of the file: model_list entry 2 (gpt).litellm_params.api_base."""
        text = ""
        for end, step in enumerate(place, start=1):
            if isinstance(step, int):
                item = self.tree.get(place[:end])
                name = item.get("model_name") if isinstance(item, dict) else item
                told = isinstance(name, str) and re.fullmatch(_WORD, name) and not self.hidden.has(name)
                named = name if told else ""
                text += f" entry {step + 1}" + (f" ({named})" if named else "")
            else:
                text += f".{step}" if text else str(step)
        return self.hidden.clean(text)

    def drop(self, place: Place, why: str, fate: Fate = Fate.DROPPED) -> None:
        """Take a value out."""
        self.ledger.note(fate, self.file, self.tree.origin(place), self.label(place), self.hidden.clean(why))
        self.tree.remove(place)

    def decide(self, place: Place, why: str) -> None:
        """Take a value out, and leave it to a person whether and how it comes back."""
        self.drop(place, why, Fate.DECIDE)

    def change(self, place: Place, value: Any, why: str, shown: str = "") -> None:  # noqa: ANN401
        """Put another value in a place, or the first one; `shown` is what the report has of it."""
        fate = Fate.CHANGED if self.tree.has(place) else Fate.ADDED
        label = self.label(place)
        self.ledger.note(fate, self.file, self.tree.origin(place), label, self.hidden.clean(why), shown)
        self.tree.put(place, value)

    def add(self, place: Place, value: Any, why: str) -> None:  # noqa: ANN401
        """Add an item to a list."""
        items = self.tree.get(place)
        index = len(items) if isinstance(items, list) else 0
        self.ledger.note(Fate.ADDED, self.file, (*place, index), self.label(place), self.hidden.clean(why), str(value))
        self.tree.append(place, value)

    def complete(self, place: Place, value: Any, why: str) -> None:  # noqa: ANN401
        """Add an item to a list that has it not; what is there and is no list is left to the reader."""
        items = self.tree.get(place)
        if items is None or (isinstance(items, list) and value not in items):
            self.add(place, value, why)

    def move(self, place: Place, to: Place, why: str) -> None:
        """Put a value elsewhere."""
        label = self.label(place)
        self.ledger.note(
            Fate.CHANGED, self.file, self.tree.origin(place), label, self.hidden.clean(why), f"now {self.label(to)}"
        )
        self.tree.move(place, to)

    def entries(self) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Every entry of model_list that is a mapping with parameters, with its place."""
        for index, entry in enumerate(self.tree.get(("model_list",), [])):
            if isinstance(entry, dict) and isinstance(entry.get("litellm_params"), dict):
                yield ("model_list", index), entry

    def known(self, *names: str) -> str | None:
        """The value of the first of some variables that is known, which is used then."""
        name = next((name for name in names if name in self.variables.plain), None)
        if name:
            self.used.add(name)
        return self.variables.plain[name] if name else None

    def references(self) -> set[str]:
        """The variables that the document refers to."""
        texts = (str(value) for _, value in self.tree.scalars())
        return {text.removeprefix(REFERENCE) for text in texts if text.startswith(REFERENCE)}
