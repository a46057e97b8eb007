"""The report of a file that was brought: kept, changed, added, dropped, to decide, and which secrets there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ops.importing.bringing import SECTIONS, Bringing
from ops.importing.ledger import Entry, Fate
from ops.importing.tree import scalars
from ops.secrets import KNOWN, MADE_BY_DEPLOYMENT, known
from stacks.litellm_config.file import Place

FILE: Final = "import.md"

_HEADINGS: Final[Mapping[Fate, tuple[str, str]]] = {
    Fate.DECIDE: ("To decide", "Left out until a person has decided. Run the command again, or change the files."),
    Fate.CHANGED: ("Changed", "Written in another way, and why."),
    Fate.ADDED: ("Added", "What this gateway relies on, and the file did not have."),
    Fate.DROPPED: ("Dropped", "Not brought over, and why."),
}


@dataclass(frozen=True)
class Report:
    """All that it says."""

    bringing: Bringing
    secrets: Sequence[str]
    warnings: Sequence[str]
    original: Mapping[str, object]  # what the file said
    comments: int  # lines of it
    variables: Sequence[str]  # plain ones that have no value yet

    @property
    def counts(self) -> str:
        """How many of each, in one line."""
        told = {fate: len(self.bringing.ledger.told(fate)) for fate in _HEADINGS}
        return ", ".join(f"{number} {fate}" for fate, number in told.items())

    def decisions(self) -> list[str]:
        """What is to be decided, a sentence each."""
        found = [f"{_where(each)}: {_ended(each.why)}" for each in self.bringing.ledger.told(Fate.DECIDE)]
        return [*found, *(self._unanswered(name) for name in self.variables)]

    def _unanswered(self, name: str) -> str:
        return f"{name}: config.yaml refers to it: give its value as the answer variables of each environment."

    def text(self, version: str) -> str:
        """The whole of it, in Markdown."""
        return "\n".join([*self._lines(version)]) + "\n"

    def _lines(self, version: str) -> Iterator[str]:
        yield f"# What became of {self.bringing.file}"
        yield ""
        yield (
            f"Written by `make import` for LiteLLM {version}; the file itself is as it was. Every part of it is named "
            "here, and the value of no secret."
        )
        for fate, (heading, what) in _HEADINGS.items():
            entries = self.bringing.ledger.told(fate)
            unanswered = self.variables if fate is Fate.DECIDE else ()
            yield from ("", f"## {heading}", "")
            if not entries and not unanswered:
                yield "Nothing."
                continue
            yield from (what, "", "| Where | Now | Why |", "| --- | --- | --- |")
            for each in entries:
                now = f"`{each.value}`" if each.value else ""
                yield _row(_where(each), now, _ended(each.why))
            for name in unanswered:
                yield _row(f"`{name}`", "", self._unanswered(name))
        yield from self._secrets()
        yield from self._kept()
        yield from self._warnings()

    def _secrets(self) -> Iterator[str]:
        yield from ("", "## Secrets", "", "By name; `make secrets ENV=…` asks for their values, or makes them.", "")
        yield from ("| Name | What | Value |", "| --- | --- | --- |")
        for name in self.secrets:
            fields = "; ".join(self.bringing.from_fields.get(name, ()))
            value = (
                "the deployment makes it"
                if name in MADE_BY_DEPLOYMENT
                else "`make secrets` makes it"
                if known(name).make
                else f"yours to give: it was written out at {fields}"
                if fields
                else "yours to give, as it is where the old one runs"
            )
            what = known(name).description if name in KNOWN or not fields else "Of config.yaml"
            yield _row(f"`{name}`", what, value)

    def _kept(self) -> Iterator[str]:
        yield from ("", "## Kept", "", "As it was:", "")
        kept: dict[str, list[str]] = {}
        for place, _ in scalars(dict(self.original)):
            if self.bringing.ledger.fate(self.bringing.file, place) is Fate.KEPT:
                head, rest = _head(place)
                kept.setdefault(self.bringing.label(head), []).append(_rest(rest))
        for label, parts in kept.items():
            named = self.bringing.hidden.clean(", ".join(f"`{part}`" for part in dict.fromkeys(parts) if part))
            yield f"- {label}" + (f": {named}" if named else "")
        if not kept:
            yield "Nothing."
        if self.comments:
            yield from (
                "",
                f"Comments are not kept ({self.comments} line{'s' * (self.comments > 1)}), since one can have a secret "
                "in it that nothing can tell from words: write beside the new file what you want of them.",
            )

    def _warnings(self) -> Iterator[str]:
        yield from ("", "## What synthesis warns of", "")
        yield from (f"- {text}" for text in self.warnings)
        if not self.warnings:
            yield "Nothing."


def _head(place: Place) -> tuple[Place, Place]:
    """What a line of what is kept is of: an entry of model_list, or a section."""
    if place[0] == "model_list":
        return place[:2], place[2:]
    return (place[:1], place[1:]) if place[0] in SECTIONS else (place[:1], ())


def _rest(place: Place) -> str:
    text = ""
    for step in place:
        text += f" {step + 1}" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _where(entry: Entry) -> str:
    """The place, and its file where that is another one than config.yaml."""
    return entry.label if entry.label else entry.file


def _ended(sentence: str) -> str:
    """As a sentence, unless it begins with a name of LiteLLM's."""
    first = sentence.partition(" ")[0]
    begun = sentence[:1].upper() + sentence[1:] if first.strip(",:").isalpha() else sentence
    return begun.rstrip(".") + "."


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in cells)} |"
