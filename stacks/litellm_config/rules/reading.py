"""What every rule is given: the file, what the environment provides, and where to note what is found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from stacks import CHECKOUT
from stacks.litellm_config.file import Place
from stacks.litellm_config.findings import Findings
from stacks.litellm_config.made import NOTHING_MADE, Made
from stacks.litellm_config.provider import Address
from stacks.litellm_config.variables import REFERENCE
from stacks.litellm_config.words import suggestion


@dataclass(frozen=True)
class Reading:
    """One file that is being read for one environment."""

    findings: Findings
    provided: Mapping[str, str | None]  # plain variables of the task, by name; None: the value is not known
    licensed: bool
    region: str | None  # the environment's; None if it is read for none
    servers: Mapping[Address, bool]  # on ports of their own, each with whether the way to it is private
    opened: Collection[str] = ()  # features beyond models that everybody may reach; see features.py
    made: Made = NOTHING_MADE  # what the deployment makes for the file to refer to

    @property
    def document(self) -> dict[str, Any]:
        """The whole file."""
        return self.findings.file.document

    def refuse(self, place: Place, problem: str, *, at: Place = (), of: str = "") -> None:
        """Note what cannot work; see `Findings.refuse`."""
        self.findings.refuse(place, problem, at=at, of=of)

    def warn(self, place: Place, problem: str, *, at: Place = ()) -> None:
        """Note what is doubtful; see `Findings.warn`."""
        self.findings.warn(place, problem, at=at)

    def section(self, name: str) -> dict[str, Any]:
        """A mapping at the top of the file; empty if it is not there, or is none, which is told elsewhere."""
        value = self.document.get(name)
        return {key: each for key, each in value.items() if isinstance(key, str)} if isinstance(value, dict) else {}

    def mapping(self, place: Place, value: object) -> dict[str, Any]:
        """The value with its keys that are text; what else it has is refused."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.refuse(place, "it must be a mapping of names to values")
            return {}
        for key in value:
            if not isinstance(key, str):
                self.refuse(place, f"the key {key!r} is not text: put it in quotes")
        return {key: each for key, each in value.items() if isinstance(key, str)}

    def said(self, place: Place, value: object) -> dict[str, Any]:
        """As `mapping`, without what is null: LiteLLM takes that for left out."""
        return {key: each for key, each in self.mapping(place, value).items() if each is not None}

    def choices(self, place: Place, value: object, known: Collection[str]) -> tuple[str, ...]:
        """The names of a list that are known; what else it has is refused."""
        if value is None:
            return ()
        if not isinstance(value, list):
            self.refuse(place, f"it must be a list, as in [{next(iter(known))}]")
            return ()
        for index, name in enumerate(value):
            if not isinstance(name, str) or name not in known:
                what = suggestion(str(name), known, "remove it")
                self.refuse(place, f"{name!r} is not set up in this gateway: {what}", at=(index,))
        return tuple(name for name in value if isinstance(name, str) and name in known)

    def value(self, given: object) -> str | None:
        """The text itself, or that of the variable which it refers to; None if it is not known here."""
        if not isinstance(given, str):
            return None
        if not given.startswith(REFERENCE):
            return given
        name = given.removeprefix(REFERENCE)
        return self.region if name == "AWS_REGION" else self.provided.get(name)


def in_image(module: str) -> bool:
    """Whether the image has a Python module of ours: a file of `container/` that its Dockerfile names."""
    dockerfile = (CHECKOUT / "container" / "Dockerfile").read_text("utf-8")
    return f" {module.partition('.')[0]}.py" in dockerfile
