"""The answers to what others' rules find, and to what is known against the packages; `docs/findings.md` shows them.

`ops/audit/answers.yaml` has them: of findings, which rules, what these ask for, where (patterns of `Stack/LogicalId`;
everywhere, if there are none), and why it is as it is; of weaknesses, which, in which package, why it may stay,
and until when.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from ops.audit.packs import PACKS
from stacks import CHECKOUT

FILE: Final = Path(__file__).with_name("answers.yaml")
PAGE: Final = CHECKOUT / "docs" / "findings.md"


class Found(NamedTuple):
    """A rule that something breaks: its name, without the pack that it is of, and where, `Stack/LogicalId`."""

    rule: str
    place: str


@dataclass(frozen=True)
class Answer:
    """Why what some rules ask for is not done, in these places."""

    asks: str
    rules: tuple[str, ...]
    answer: str
    at: tuple[str, ...] = ("*",)

    def fits(self, found: Found) -> bool:
        """Whether it is the answer to a finding."""
        return found.rule in self.rules and any(fnmatchcase(found.place, place) for place in self.at)


@dataclass(frozen=True)
class Accepted:
    """A known weakness of a package that may stay for a time."""

    id: str
    package: str
    answer: str
    until: date


def answers() -> tuple[Answer, ...]:
    """The answers to findings, in the file's order."""
    return tuple(
        Answer(one["asks"], tuple(one["rules"]), one["answer"], tuple(one.get("at", ("*",))))
        for one in _read()["findings"]
    )


def accepted() -> tuple[Accepted, ...]:
    """The weaknesses that may stay."""
    return tuple(Accepted(**one) for one in _read()["weaknesses"])


def open_findings(found: Iterable[Found], given: Sequence[Answer]) -> list[str]:
    """A line for each finding without an answer."""
    return sorted(
        {
            f"{one.rule} at {one.place}: mend it, or answer it in ops/audit/answers.yaml"
            for one in found
            if not any(answer.fits(one) for answer in given)
        }
    )


def idle_answers(found: Iterable[Found], given: Sequence[Answer], *, places: bool = True) -> list[str]:
    """A line for each rule of an answer that nothing is found of any more, and with `places` for each place."""
    listed = list(found)
    lines = [*_idle_rules(listed, given)]
    return [*lines, *_idle_places(listed, given)] if places else lines


def _idle_rules(found: Sequence[Found], given: Sequence[Answer]) -> Iterator[str]:
    for answer in given:
        for rule in answer.rules:
            if not any(answer.fits(one) for one in found if one.rule == rule):
                yield f"{rule}: nothing is found of it, so take it out of ops/audit/answers.yaml"


def _idle_places(found: Sequence[Found], given: Sequence[Answer]) -> Iterator[str]:
    for answer in given:
        for place in answer.at:
            if not any(one.rule in answer.rules and fnmatchcase(one.place, place) for one in found):
                rules = ", ".join(answer.rules)
                yield f"{rules} at {place}: nothing is there, so take it out of ops/audit/answers.yaml"


def document() -> str:
    """The page of the answers."""
    rows = "".join(f"| {one.asks} | {_rules(one)} | {_places(one)}{one.answer} |\n" for one in answers())
    return _PAGE.format(packs=", ".join(PACKS.values())) + rows


def _rules(answer: Answer) -> str:
    return ", ".join(f"`{rule}`" for rule in answer.rules)


def _places(answer: Answer) -> str:
    return "" if answer.at == ("*",) else ", ".join(f"`{place}`" for place in answer.at) + ": "


def _read() -> Mapping[str, Any]:
    read: Mapping[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    return read


_PAGE: Final = """\
# Findings

What the rules of others find in the example's environments and in what promotes releases, and why it is as it is. \
`make docs` writes this page from `ops/audit/answers.yaml`; what is found and not answered there fails a test, and so \
does an answer to nothing.

- **cdk-nag, AwsSolutions**: at each synthesis. Nothing is found that is not acknowledged beside the construct, with \
its reason, in `stacks/`.
- **cdk-nag, {packs}**: by a test (`tests/templates/test_findings.py`), as their answers are of the whole product. \
None of them makes the gateway compliant: they are lists of settings that AWS Config looks at for who has to be.
- **checkov**: by `make audit`, and by GitHub each week and where the stacks change. Its rules begin with `CKV`.

Patterns say where an answer holds, by stack and logical id; without one it holds everywhere.

| Asked for | Rules | Answer |
| --- | --- | --- |
"""
