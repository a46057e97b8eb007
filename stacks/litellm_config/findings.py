"""What is wrong in a file and what is doubtful, collected: all of it is told in one run, each with its line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from stacks.litellm_config.catalog import ConfigError
from stacks.litellm_config.file import ConfigFile, Place, sentence


class Refusal(NamedTuple):
    """One mistake: what has to be written anew or taken out, why, and which item of a list it is of, if of one."""

    place: Place
    problem: str
    of: str = ""


class RefusedError(ConfigError):
    """Every mistake of a file, as a sentence each, and as `refusals`, for who mends them (`ops/importing`)."""

    def __init__(self, text: str, refusals: Iterable[Refusal]) -> None:
        super().__init__(text)
        self.refusals = tuple(refusals)


@dataclass(frozen=True)
class Findings:
    """The mistakes and the warnings of one file.

    `place` says of what a sentence is, and `at`, from there on, at which line, if that is another one.
    """

    file: ConfigFile
    _mistakes: list[tuple[int, str]] = field(default_factory=list)
    _warnings: list[tuple[int, str]] = field(default_factory=list)
    _refused: set[Place] = field(default_factory=set)
    _refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, place: Place, problem: str, *, at: Place = (), of: str = "") -> None:
        """Note what cannot work; `of` says of which item of the place it is."""
        self._refused.add((*place, *at))
        self._refusals.append(Refusal((*place, *at), problem, of))
        self._mistakes.append(self._told(place, problem, at, of))

    def warn(self, place: Place, problem: str, *, at: Place = ()) -> None:
        """Note what is doubtful."""
        self._warnings.append(self._told(place, problem, at, ""))

    @property
    def count(self) -> int:
        """How many mistakes there are so far."""
        return len(self._mistakes)

    def settle(self, place: Place) -> None:
        """Note that what is at a place goes, with a mistake that is told elsewhere."""
        self._refused.add(place)

    def is_refused(self, place: Place) -> bool:
        """Whether the value at a place has to be written anew, or taken out, by what was said already."""
        return any(place[: len(refused)] == refused for refused in self._refused if not _holds_others(refused))

    def warnings(self) -> tuple[str, ...]:
        """The warnings in the order of the file, none twice."""
        return _sorted(self._warnings)

    def check(self) -> None:
        """Raise if anything was refused.

        Raises
        ------
        RefusedError
            Every mistake, a line each, in the order of the file.
        """
        if self._mistakes:
            raise RefusedError("\n".join(_sorted(self._mistakes)), self._refusals)

    def _told(self, place: Place, problem: str, at: Place, of: str) -> tuple[int, str]:
        line = self.file.line((*place, *at))
        label = self.file.label(place) + (f" ({of})" if of else "")
        return line, sentence(self.file.path, line, label, problem)


def _holds_others(place: Place) -> bool:
    """Whether what is refused there leaves the values below it as they are: the file, a section, an entry."""
    return len(place) < 2 or (place[0] == "model_list" and len(place) == 2)


def _sorted(told: list[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for _, text in sorted(told, key=lambda each: each[0])))
