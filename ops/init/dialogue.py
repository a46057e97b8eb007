"""Has the questions answered: by a person at a terminal, or by a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from ops.access import OpsError
from ops.init.answers import Answers, Given
from ops.init.kinds import NOTHING, RefusedError
from ops.init.questions import GROUPS, KEYS, PLACE
from ops.init.questions.environment import ENVIRONMENTS
from ops.init.questions.question import Context, LookUp, Question

Ask = Callable[[str], str]
"""Asks for one line, given the prompt: `input`."""

HELP: Final = "?"


class Answering(Protocol):
    """Who answers."""

    def heading(self, title: str) -> None:
        """Go on to the next group of questions."""

    def answer(self, question: Question, context: Context, proposal: Any) -> Any:  # noqa: ANN401 - an answer
        """The answer as it is kept; `proposal` is the default, None if there is none."""

    def tell(self, warning: str) -> None:
        """Say what AWS knows better."""


Warnings = Callable[[Answers, str], Iterator[str]]
"""What AWS says of the place of an environment."""


def answered(answering: Answering, stored: Answers | None, aws: LookUp, warnings: Warnings) -> Answers:
    """All questions, answered in their order."""
    answers = Answers()
    for group in GROUPS:
        names: tuple[str | None, ...] = answers.named if group.each else (None,)
        for name in names:
            context = Context(answers, name, aws)
            asked = False
            for question in group.questions:
                if not question.is_asked(context):
                    continue
                if not asked:
                    answering.heading(group.title.format(name=name))
                    asked = True
                value = answering.answer(question, context, _proposal(question, context, stored, answering))
                if question is ENVIRONMENTS:
                    answers.environments = {each: {} for each in value}
                elif value is not MISSING:
                    answers.of(name)[question.key] = value
            if group is PLACE and name:
                for warning in warnings(answers, name):
                    answering.tell(warning)
    return answers


class _Missing:
    """No answer, and no default: only where the mistake is told in the end."""


MISSING: Final = _Missing()


def _before(question: Question, context: Context, stored: Answers | None) -> Any:  # noqa: ANN401 - an answer
    """What was answered last; MISSING if it was not asked."""
    if stored is None:
        return MISSING
    if question is ENVIRONMENTS:
        return list(stored.named)
    own = stored.environments.get(context.name, {}) if context.name else stored.company
    return own.get(question.key, MISSING)


def _proposal(question: Question, context: Context, stored: Answers | None, answering: Answering) -> Any:  # noqa: ANN401
    """What was answered last, if it still can be, else the default, if that can be; None if there is none."""
    before = _before(question, context, stored)
    if before is not MISSING:
        try:
            return question.accepted(context, before)
        except RefusedError as error:
            where = path(context.name, question.key)
            answering.tell(f"{where}: what it was answered last cannot be with the new answers: {error}.")
    try:
        return question.accepted(context, question.default(context))
    except RefusedError:
        return None


class Terminal:
    """A person, asked line by line."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def heading(self, title: str) -> None:
        """As Answering."""
        print(f"\n{title}")

    def tell(self, warning: str) -> None:
        """As Answering."""
        print(f"  ! {warning}")

    def answer(self, question: Question, context: Context, proposal: Any) -> Any:  # noqa: ANN401 - an answer
        """As Answering."""
        if proposal is not None:
            shown = f" [{question.kind.show(proposal)}]"
        else:
            shown = f" [{NOTHING}]" if question.optional else ""
        while True:
            line = self._ask(f"  {question.text}{shown}: ").strip()
            if line == HELP:
                print(f"    {question.help}" + (f" {NOTHING} leaves it out." if question.optional else ""))
                continue
            try:
                return self._accepted(question, context, line, proposal)
            except RefusedError as error:
                print(f"    {error}. ({HELP} explains)")

    def _accepted(self, question: Question, context: Context, line: str, proposal: Any) -> Any:  # noqa: ANN401 - an answer
        if not line and (proposal is not None or question.optional):
            return proposal
        if not line or (question.optional and line.lower() == NOTHING):
            return question.accepted(context, None)
        return question.accepted(context, question.kind.parse(line))


class Listed:
    """A file, whose mistakes are told all at once by `finish`."""

    def __init__(self, source: str, given: Given, stored: Answers | None) -> None:
        self._source = source
        self._given = given
        self._stored = stored
        self._findings = list(given.findings)
        self._refused: set[str] = set()
        self._used: set[tuple[str | None, str]] = set()

    def heading(self, title: str) -> None:
        """As Answering."""

    def tell(self, warning: str) -> None:
        """As Answering."""
        print(f"! {warning}")

    def answer(self, question: Question, context: Context, proposal: Any) -> Any:  # noqa: ANN401 - an answer
        """As Answering. A mistake is kept for later, and the question stays without an answer."""
        if question is ENVIRONMENTS:
            return self._environments(question, context, proposal)
        own = self._given.answers.environments.get(context.name, {}) if context.name else self._given.answers.company
        place = (context.name, question.key)
        if question.key in own:
            self._used.add(place)
            value = own[question.key]
        elif proposal is not None or question.optional:
            return proposal
        else:
            context.looked_at.clear()
            value = question.default(context)
            if value is None:
                # A default that follows from an answer with a mistake is there once that is mended.
                if not context.looked_at & self._refused:
                    self._findings.append(f"{path(*place)}: it is not answered, and has no default: {question.text}")
                self._refused.add(question.key)
                return MISSING
        try:
            return question.accepted(context, value)
        except RefusedError as error:
            self._findings.append(f"{path(*place)}: {error}")
            self._refused.add(question.key)
            return MISSING if proposal is None and not question.optional else proposal

    def _environments(self, question: Question, context: Context, proposal: list[str]) -> list[str]:
        """Those of before and of the file, in the file's order if it names them all, without those that are to go."""
        named = list(self._given.answers.environments)
        before = list(self._stored.named) if self._stored else []
        for name in self._given.removed:
            if name not in before:
                self._findings.append(f"environments.{name}: there is none to remove")
        before = [name for name in before if name not in self._given.removed]
        wanted = named if set(before) <= set(named) else [*before, *(name for name in named if name not in before)]
        valid = []
        for name in wanted or ([] if self._given.removed else proposal):
            try:
                valid += question.accepted(context, [name])
            except RefusedError as error:
                self._findings.append(f"environments.{name}: {error}")
        if not valid:
            self._findings += [] if wanted else ["environments: none is left: name one at least"]
            raise OpsError(self._told())
        return valid

    def finish(self) -> None:
        """Refuse a file with mistakes.

        Raises
        ------
        OpsError
            All of them, a line each.
        """
        if not self._findings:
            given = self._given.answers
            places = [(None, key) for key in given.company]
            places += [(name, key) for name, own in given.environments.items() for key in own]  # type: ignore[misc]
            self._findings = [
                f"{path(*place)}: it is not asked for with these answers: leave it out"
                for place in places
                if place not in self._used and not self._is_no(place)
            ]
        if self._findings:
            raise OpsError(self._told())

    def _told(self) -> str:
        return "\n".join(f"{self._source}: {finding}." for finding in self._findings)

    def _is_no(self, place: tuple[str | None, str]) -> bool:
        """Whether it says no to a part that there could not be anyhow."""
        return place[1] in KEYS.sections and self._given.answers.of(place[0])[place[1]] is False


def path(name: str | None, key: str) -> str:
    """How a question is called in a file."""
    return key if name is None else f"environments.{name}.{key}"
