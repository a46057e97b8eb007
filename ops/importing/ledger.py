"""What becomes of each value of the files that are brought: nothing goes without being named."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stacks.litellm_config.file import Place


class Fate(StrEnum):
    """What becomes of a value."""

    KEPT = "kept"
    CHANGED = "changed"
    ADDED = "added"
    DROPPED = "dropped"
    DECIDE = "to decide"


@dataclass(frozen=True)
class Entry:
    """One line of the report: of which file and place, what it becomes, and why. `value` is never a secret's."""

    fate: Fate
    file: str
    place: Place  # as in that file
    label: str  # how a person calls the place
    why: str
    value: str = ""


_OUT: Final = (Fate.DROPPED, Fate.DECIDE)


@dataclass
class Ledger:
    """All that has been noted."""

    entries: list[Entry] = field(default_factory=list)

    def note(self, fate: Fate, file: str, place: Place, label: str, why: str, value: str = "") -> None:
        """Note what becomes of a value, and of all below it; the same is noted once."""
        entry = Entry(fate, file, place, label, why, value)
        if entry not in self.entries:
            self.entries.append(entry)

    def fate(self, file: str, place: Place) -> Fate:
        """What becomes of a value: whatever takes out what it is in counts before what changes it."""
        found = {each.fate for each in self.entries if each.file == file and _within(place, each.place)}
        for fate in (Fate.DECIDE, Fate.DROPPED, Fate.CHANGED):
            if fate in found:
                return fate
        return Fate.KEPT

    def told(self, fate: Fate) -> list[Entry]:
        """The lines of a fate, without those within something that is taken out as a whole."""
        out = [each for each in self.entries if each.fate in _OUT and each.place]
        return [
            entry
            for entry in self.entries
            if entry.fate is fate
            and not any(
                each.file == entry.file and each.place != entry.place and _within(entry.place, each.place)
                for each in out
            )
            and not (
                fate in (Fate.CHANGED, Fate.ADDED)
                and any(each.file == entry.file and each.place == entry.place for each in out)
            )
        ]


def _within(place: Place, around: Place) -> bool:
    return place[: len(around)] == around
