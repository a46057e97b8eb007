"""What an answer may be: how it is read from a line and from YAML, and how it is shown.

The rules are those of the settings: pydantic checks an answer by the very type of the setting that it becomes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import TypeAdapter, ValidationError

from ops.numbers import written
from stacks.settings import Plan, Settings

NOTHING: Final = "none"
"""What answers an optional question with nothing, on a line."""


class RefusedError(ValueError):
    """An answer that cannot work: why, without a full stop."""


@dataclass(frozen=True)
class Kind:
    """A kind of answer: `read` takes what YAML has, `parse` makes that of a line, `show` a line of the answer."""

    read: Callable[[Any], Any]
    parse: Callable[[str], Any] = str
    show: Callable[[Any], str] = str


def setting(model: type[Settings], name: str) -> TypeAdapter[Any]:
    """The type of a setting, with its rules."""
    found = model.model_fields[name]
    kind: Any = found.annotation
    return TypeAdapter(Annotated[kind, *found.metadata] if found.metadata else kind)


def text(adapter: TypeAdapter[Any]) -> Kind:
    """One text."""

    def read(value: Any) -> Any:  # noqa: ANN401 - whatever YAML has
        if not isinstance(value, str):
            raise RefusedError(f"{value!r} is no text: put it in quotes")
        return checked(adapter, value)

    return Kind(read)


def number(adapter: TypeAdapter[Any]) -> Kind:
    """A number; one without a fraction is written without it."""

    def read(value: Any) -> Any:  # noqa: ANN401 - whatever YAML has
        if isinstance(value, bool):
            raise RefusedError(f"{_yes_or_no(value)} is no number: write one such as 100")
        found = checked(adapter, value)
        return int(found) if found == int(found) else found

    return Kind(read, show=written)


def texts(adapter: TypeAdapter[Any]) -> Kind:
    """A list of texts, on a line with commas or spaces between."""

    def read(value: Any) -> Any:  # noqa: ANN401 - whatever YAML has
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise RefusedError(f"{value!r} is no list of texts: write it as [one, other]")
        return checked(adapter, value)

    return Kind(read, lambda line: re.split(r"[,\s]+", line.strip(", ")), ", ".join)


def each(adapter: TypeAdapter[Any]) -> Kind:
    """A list as `texts`, of a type that is told for one of them."""
    every = texts(TypeAdapter(list[str]))
    return Kind(lambda value: [checked(adapter, one) for one in every.read(value)], every.parse, every.show)


def mapping(adapter: TypeAdapter[Any]) -> Kind:
    """Names and values, on a line as NAME=value with spaces between."""

    def read(value: Any) -> Any:  # noqa: ANN401 - whatever YAML has
        if not isinstance(value, dict):
            raise RefusedError(f"{value!r} is no mapping of names to values: write it as NAME=value")
        return checked(adapter, value)

    def parse(line: str) -> dict[str, Any]:
        pairs = [pair.partition("=") for pair in line.split()]
        if wrong := [name for name, equals, _ in pairs if not equals]:
            raise RefusedError(f"{wrong[0]!r} has no value: write it as NAME=value")
        return {name: value for name, _, value in pairs}

    return Kind(read, parse, lambda given: " ".join(f"{name}={value}" for name, value in given.items()))


def choice(*words: str) -> Kind:
    """One of some words."""

    def read(value: Any) -> Any:  # noqa: ANN401 - whatever YAML has
        if value not in words:
            raise RefusedError(f"{value!r} is none of {', '.join(words)}")
        return value

    return Kind(read)


def _yes_or_no(value: Any) -> str:  # noqa: ANN401 - an answer
    return "yes" if value else "no"


def _bool(value: Any) -> bool:  # noqa: ANN401 - whatever YAML has
    if not isinstance(value, bool):
        raise RefusedError(f"{value!r} is neither yes nor no")
    return value


def _from_word(line: str) -> bool | str:
    word = line.lower()
    return True if word in ("y", "yes", "true") else False if word in ("n", "no", "false") else line


YES_NO: Final = Kind(_bool, _from_word, _yes_or_no)

_PLAN: Final = TypeAdapter(tuple[Plan, ...])


def _plan_of(line: str) -> dict[str, Any]:
    """Name | price | covers | allowance | seats, of which the last two may be missing."""
    parts = [part.strip() for part in line.split("|")]
    if not 3 <= len(parts) <= 5:
        raise RefusedError(f"{line.strip()!r} is no plan: write it as NAME | PRICE | MODELS | ALLOWANCE")
    names = ("name", "monthly_price", "covers", "monthly_allowance", "seats")
    plan: dict[str, Any] = {name: part for name, part in zip(names, parts, strict=False) if part}
    return {**plan, "covers": plan.get("covers", "").replace(",", " ").split()}


def _plans(value: Any) -> Any:  # noqa: ANN401 - whatever YAML has
    if not isinstance(value, list):
        raise RefusedError(f"{value!r} is no list of plans: write each as {{name: …, monthly_price: …, covers: […]}}")
    plans = [Plan.model_validate(each) for each in checked(_PLAN, value)]
    return [
        {
            name: int(found) if isinstance(found, float) and found == int(found) else found
            for name, found in plan.model_dump(mode="json", exclude_defaults=True).items()
        }
        for plan in plans
    ]


def _show_plan(plan: dict[str, Any]) -> str:
    parts = [plan["name"], written(plan["monthly_price"]), " ".join(plan["covers"])]
    parts += [written(plan["monthly_allowance"]) if "monthly_allowance" in plan else "", plan.get("seats", "")]
    return " | ".join(parts).rstrip(" |")


PLANS: Final = Kind(
    _plans,
    lambda line: [_plan_of(each) for each in line.split(";") if each.strip()],
    lambda plans: "; ".join(map(_show_plan, plans)),
)


def checked(adapter: TypeAdapter[Any], value: Any) -> Any:  # noqa: ANN401 - any type's
    """The value in YAML's own types, if the type takes it.

    Raises
    ------
    RefusedError
        It does not: why.
    """
    try:
        return adapter.dump_python(adapter.validate_python(value), mode="json", exclude_defaults=True)
    except ValidationError as error:
        raise RefusedError(reason(error)) from error


def reason(error: ValidationError) -> str:
    """What is wrong, of pydantic's first finding."""
    finding = error.errors()[0]
    message = finding["msg"]
    if message.startswith("Value error, "):
        return message.removeprefix("Value error, ")
    place = ".".join(map(str, finding["loc"]))
    if finding["type"] == "missing":
        return f"{place} is not given: it has no default"
    if finding["type"] == "extra_forbidden":
        return f"there is no {place}"
    return f"{finding['input']!r}: {message[0].lower()}{message[1:]}"
