"""A question: what it asks, what it may be answered with, and what its default follows from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from pydantic import ValidationError

from ops.init.answers import Answers
from ops.init.kinds import YES_NO, Kind, RefusedError, reason
from ops.init.meaning import check
from stacks.settings import SettingsError


class LookUp(Protocol):
    """What AWS knows; nothing where it cannot be asked."""

    @property
    def account(self) -> str | None:
        """The account of the credentials."""

    @property
    def region(self) -> str | None:
        """The region of AWS_REGION or the profile."""

    def zones(self, account: str, region: str) -> tuple[str, ...]:
        """The zones that the account has there."""

    def zone_id(self, account: str, name: str) -> str | None:
        """The id of the account's public hosted zone of this name."""

    def vpc_cidr(self, account: str, region: str, vpc: str) -> str | None:
        """The range of a VPC."""


@dataclass(frozen=True)
class Context:
    """What is known when a question is asked: the answers so far, and of which environment it is asked, if of one."""

    answers: Answers
    name: str | None
    aws: LookUp
    looked_at: set[str] = field(default_factory=set, compare=False)  # the answers that a default has asked for

    def get(self, key: str) -> Any:  # noqa: ANN401 - an answer
        """An answer of the environment, or of the company as a whole; None if it has not been given."""
        self.looked_at.add(key)
        own = self.answers.of(self.name) if self.name else {}
        return own.get(key, self.answers.company.get(key))

    @property
    def number(self) -> int:
        """The place of the environment, from 0."""
        return self.answers.named.index(str(self.name))

    @property
    def is_last(self) -> bool:
        """Whether a release reaches the environment last."""
        return self.name == self.answers.named[-1]

    @property
    def earlier(self) -> dict[str, dict[str, Any]]:
        """The environments before this one, by name."""
        return {name: self.answers.of(name) for name in self.answers.named[: self.number]}

    def before(self, key: str) -> Any:  # noqa: ANN401 - an answer
        """The same answer of the environment before; None if this is the first."""
        self.looked_at.add(key)
        return next((own.get(key) for own in reversed(self.earlier.values())), None)

    def last(self, key: str) -> Any:  # noqa: ANN401 - an answer
        """An answer of the environment that the company works with."""
        self.looked_at.add(key)
        return self.answers.of(self.answers.named[-1]).get(key)

    @property
    def home(self) -> str:
        """The region of that environment."""
        return str(self.last("region") or "us-east-1")


Default = Callable[[Context], Any]
"""What is proposed with the answers so far; None for nothing."""

Condition = Callable[[Context], bool]
"""Whether a question is one at all with the answers so far."""


@dataclass(frozen=True)
class Question:
    """One question. One that is `optional` may be answered with nothing; a `section` is a part that may be left out."""

    key: str
    text: str
    kind: Kind
    help: str
    default: Default = lambda _: None
    when: Condition = lambda _: True
    optional: bool = False
    section: bool = False
    check: Callable[[Context, Any], None] = lambda _, __: None

    def is_asked(self, context: Context) -> bool:
        """Whether it is a question at all with the answers so far."""
        parts = self.key.split(".")[:-1]
        wanted = all(context.get(".".join(parts[: end + 1])) for end in range(len(parts)))
        return wanted and self.when(context)

    def accepted(self, context: Context, value: Any) -> Any:  # noqa: ANN401 - an answer
        """The answer as it is kept, if it can work with those before it.

        Raises
        ------
        RefusedError
            It cannot: why.
        """
        if value is None or value == []:
            if not self.optional:
                raise RefusedError("it needs an answer")
            return None
        value = self.kind.read(value)
        self.check(context, value)
        self._check_settings(context, value)
        return value

    def _check_settings(self, context: Context, value: Any) -> None:  # noqa: ANN401 - an answer
        own = context.answers.of(context.name)
        before = dict(own)
        own[self.key] = value
        try:
            check(context.answers)
        except ValidationError as error:
            raise RefusedError(reason(error)) from error
        except SettingsError as error:
            raise RefusedError(str(error)) from error
        finally:
            own.clear()
            own.update(before)


class Group(NamedTuple):
    """Questions under one heading: of each environment in turn, or of the company as a whole."""

    title: str
    each: bool
    questions: tuple[Question, ...]


def part(
    key: str,
    text: str,
    help: str,  # noqa: A002 - as in Question
    *,
    wanted: bool = False,
    when: Condition = lambda _: True,
    check: Callable[[Context, Any], None] = lambda _, __: None,
) -> Question:
    """The question whether a part is wanted at all: those whose key has this one's in front are asked only then."""
    return Question(key, text, YES_NO, help, always(wanted), when=when, section=True, check=check)


def given(key: str) -> Condition:
    """A question of those only who have answered another with yes."""
    return lambda context: bool(context.get(key))


def always(value: Any) -> Default:  # noqa: ANN401 - a default
    """The same proposal whatever was answered."""
    return lambda _: value


def before(key: str, otherwise: Any = None) -> Default:  # noqa: ANN401 - a default
    """As in the environment before."""

    def default(context: Context) -> Any:  # noqa: ANN401 - an answer
        found = context.before(key)
        return otherwise if found is None else found

    return default


def check_among(names: list[str], known: tuple[str, ...]) -> None:
    """Refuse names of environments that there are not.

    Raises
    ------
    RefusedError
        Which these are, and which there are.
    """
    if unknown := [name for name in names if name not in known]:
        raise RefusedError(f"{', '.join(unknown)} is no environment: there are {', '.join(known)}")
