"""`company/environments.py` from the answers: Python as `ruff format` leaves it, written as a person would.

The settings themselves are asked what to write: every one that was set, in the order of their types. What all
environments share is a constant or a function.
"""

from __future__ import annotations

import builtins
import keyword
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ops.init.answers import Answers
from ops.init.meaning import environment_of, releases_of
from stacks.settings import Environment, Listeners, Releases, Settings

WIDTH: Final = 120

OFFICE: Final = "OFFICE"
OPERATORS: Final = "OPERATORS"
PLANS: Final = "PLANS"
BILL: Final = "BILL"
RELEASES: Final = "releases"
_TAKEN: Final = frozenset({"accounts", "report", RELEASES}) | frozenset(dir(builtins)) | frozenset(keyword.softkwlist)

_NOTES: Final = {
    "cache": "The tasks count as one.",
    "network.interface_endpoints": (
        "A task must start while the way to the internet is down: its image, its secrets and its log."
    ),
    "network.vpc": "A subnet a zone, in the order of zones; the private ones have a way to the internet.",
}

_FOR: Final = ("To try changes on", "To rehearse a release", "For the whole company")
_SIZED: Final = {
    "small": "one task",
    "medium": "two tasks and more",
    "large": "three tasks and more, and a database reader to fail over to",
}


@dataclass(frozen=True)
class Name:
    """What a value is called in the file."""

    name: str


def function_of(environment: str) -> str:
    """The name of an environment's function: its own, unless Python or the file has another use for that."""
    taken = keyword.iskeyword(environment) or environment in _TAKEN
    return f"{environment}_environment" if taken else environment


def written(answers: Answers) -> str:
    """The text of the file.

    Raises
    ------
    ValidationError, SettingsError
        The answers cannot work together.
    """
    environments = [environment_of(answers, name) for name in answers.named]
    releases = releases_of(answers)
    shared = _shared(environments)
    parts = [_constants(environments, shared)]
    if environments[0].onboarding:
        parts.append(_function("accounts(command: str)", "Onboarding", _ACCOUNTS, _of(environments[0].onboarding), {
            "command": Name("command")
        }))  # fmt: skip
    if environments[0].report:
        plans = {"plans": Name(PLANS)} if environments[0].report.plans else {}
        parts.append(_function("report(channel: str)", "Report", _REPORT, _of(environments[0].report), {
            "channel": Name("channel"), **plans
        }))  # fmt: skip
    parts += [_environment(environment, answers, shared) for environment in environments]
    if releases:
        parts.append(_function(f"{RELEASES}()", "Releases", _RELEASES, _of(releases), {}))
    parts.append(_end(answers, has_releases=releases is not None))
    body = "\n\n\n".join("\n".join(part) for part in parts if part) + "\n"
    gap = "\n\n\n" if body.startswith("def ") else "\n\n"
    return f'"""{_HEAD}"""\n\n{_imports(body)}{gap}{body}'


_HEAD: Final = """\
The environments of this company, and how releases reach them.

The product's docs/settings.md explains each value, and its stacks/settings has the rules. Change what you like:
`make init` changes only what it is answered anew.
"""
_ACCOUNTS: Final = (
    "Who gets an account by asking for it in Slack, and what with: the same everywhere but for the command's name."
)
_REPORT: Final = "What a channel is told every week and every month."
_RELEASES: Final = "Where releases are built, and what takes them from environment to environment."


def _shared(environments: Sequence[Environment]) -> dict[str, Any]:
    """What all environments have alike, by the name of the constant."""
    shared: dict[str, Any] = {}
    for name, setting in ((OFFICE, "cidrs"), (OPERATORS, "management_cidrs")):
        values = {getattr(environment.ingress, setting) for environment in environments}
        if len(values) == 1:
            (value,) = values
            if value not in shared.values():
                shared[name] = value
    bill = environments[0].bill
    if bill and bill.model_fields_set and len(environments) > 1:  # which all of them have
        shared[BILL] = bill
    return shared


def _constants(environments: Sequence[Environment], shared: Mapping[str, Any]) -> list[str]:
    notes = {
        OFFICE: "Where people work: the ranges that the gateway answers.",
        OPERATORS: "Where accounts are managed from: a part of the above.",
        BILL: "Where the others' bills are, whose accounts must not be used past the gateway.",
    }
    lines: list[str] = []
    for name, value in shared.items():
        lines += [f"# {notes[name]}", *_lines(_tree(value), "", f"{name} = ", "")]
    report = environments[0].report
    if report and report.plans:
        lines.append(
            "# Flat-rate plans that people could be cheaper on: prices as providers publish them for one seat."
        )
        lines += _lines(_tree(report.plans), "", f"{PLANS} = ", "")
    return lines


def _environment(environment: Environment, answers: Answers, shared: Mapping[str, Any]) -> list[str]:
    names: dict[str, Name] = {}
    for setting in ("cidrs", "management_cidrs"):
        value = getattr(environment.ingress, setting)
        for name, constant in shared.items():
            if value == constant:
                names[f"ingress.{setting}"] = Name(name)
    if BILL in shared:
        names["bill"] = Name(BILL)
    if environment.onboarding:
        names["onboarding"] = Name(f"accounts({quoted(environment.onboarding.command)})")
    if environment.report:
        names["report"] = Name(f"report({quoted(environment.report.channel)})")
    return _function(
        f"{function_of(environment.name)}()",
        "Environment",
        _purpose(environment, answers),
        _of(environment),
        names,
    )


def _purpose(environment: Environment, answers: Answers) -> str:
    names = answers.named
    last = environment.name == names[-1]
    place = 2 if last else 0 if environment.name == names[0] else 1
    size = _SIZED[answers.of(environment.name).get("size", "small")]
    gone = "" if environment.deletion_protection else "; gone when it is destroyed"
    return f"{_FOR[place]}: {size}{gone}."


def _function(head: str, kind: str, docstring: str, values: Mapping[str, Any], names: Mapping[str, Name]) -> list[str]:
    node = _call(kind, values, names, "")
    return [f"def {head} -> {kind}:", f'    """{docstring}"""', *_lines(node, "    ", "return ", "", broken=True)]


def _end(answers: Answers, *, has_releases: bool) -> list[str]:
    functions = [function_of(name) for name in answers.named]
    local = function_of(answers.company.get("local", answers.named[0]))
    listed = Node("(", [Item("", name) for name in functions], ")")
    lines = ["# What is deployed, in this order.", *_lines(listed, "", "ENVIRONMENTS = ", "")]
    lines += ["# What `make up` runs, under another name and account.", f"LOCAL = {local}"]
    if has_releases:
        lines += ["# Leave it out if people deploy by hand.", f"RELEASES = {RELEASES}"]
    return lines


def _imports(body: str) -> str:
    kinds = [
        kind.__name__ for kind in _kinds(Settings) if f"{kind.__name__}(" in body or f"-> {kind.__name__}:" in body
    ]
    return "\n".join(_lines(Node("(", [Item("", kind) for kind in sorted(kinds)], ")", bare=True), "", _IMPORT, ""))


_IMPORT: Final = "from stacks.settings import "


def _kinds(kind: type[Settings]) -> Iterator[type[Settings]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)


# --- Settings as a tree of what is written --------------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """A part of what stands in brackets, with what goes before it: `cidr=`, or a key and a colon."""

    before: str
    value: Node | str
    note: str = ""


@dataclass(frozen=True)
class Node:
    """Something in brackets. A `bare` one has none as long as it is on one line, as the names of an import."""

    opening: str
    items: Sequence[Item]
    closing: str
    bare: bool = False

    @property
    def line(self) -> str | None:
        """All of it on one line, if it may stand on one."""
        parts: list[str] = []
        for item in self.items:
            text = item.value if isinstance(item.value, str) else item.value.line
            if text is None or item.note:
                return None
            parts.append(item.before + text)
        text = ", ".join(parts)
        if self.bare:
            return text
        lone = self.opening == "(" and len(parts) == 1
        return f"{self.opening}{text}{',' if lone else ''}{self.closing}"


def _of(settings: Settings) -> dict[str, Any]:
    """What was set, in the type's order; who hears of releases comes last."""
    names = [name for name in type(settings).model_fields if name in settings.model_fields_set]
    if isinstance(settings, Releases):
        names.sort(key=lambda name: name in Listeners.model_fields)
    return {name: getattr(settings, name) for name in names}


def _call(kind: str, values: Mapping[str, Any], names: Mapping[str, Name], path: str) -> Node:
    items = []
    for name, value in values.items():
        place = f"{path}{name}"
        items.append(Item(f"{name}=", _tree(names.get(place, value), names, f"{place}."), _NOTES.get(place, "")))
    return Node(f"{kind}(", items, ")")


def _tree(value: Any, names: Mapping[str, Name] | None = None, path: str = "") -> Node | str:  # noqa: ANN401 - of a setting
    match value:
        case Name(name):
            return name
        case Settings():
            return _call(type(value).__name__, _of(value), names or {}, path)
        case bool() | None:
            return repr(value)
        case int() | float():
            whole = int(value) if value == int(value) else value
            return f"{whole:_}" if whole >= 10_000 else repr(whole)
        case tuple():
            return Node("(", [Item("", _tree(each)) for each in value], ")")
        case dict():
            return Node("{", [Item(f"{quoted(key)}: ", _tree(each)) for key, each in value.items()], "}")
        case _:  # a text, or an address, which is written as one
            return quoted(str(value))


def quoted(text: str) -> str:
    """A text as `ruff format` quotes it: double quotes, unless single ones need fewer escapes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + "".join(_escaped(character, quote) for character in text) + quote


def _escaped(character: str, quote: str) -> str:
    if character in (quote, "\\"):
        return f"\\{character}"
    return character if character.isprintable() else repr(character)[1:-1]


def _lines(node: Node | str, indent: str, before: str, after: str, *, broken: bool = False) -> list[str]:
    """On one line if it fits and may, else an item a line, each with a comma behind it: so ruff leaves it as it is."""
    text = node if isinstance(node, str) else node.line
    if isinstance(node, str) or (text is not None and not broken and _width(f"{indent}{before}{text}{after}") <= WIDTH):
        return [f"{indent}{before}{text}{after}"]
    lines = [f"{indent}{before}{node.opening}"]
    for item in node.items:
        if item.note:
            lines.append(f"{indent}    # {item.note}")
        lines += _lines(item.value, f"{indent}    ", item.before, ",")
    return [*lines, f"{indent}{node.closing}{after}"]


def _width(line: Iterable[str]) -> int:
    """Columns of a line: Chinese and Japanese characters take two."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in line
    )
