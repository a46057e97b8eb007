"""What a deployment would change: `make diff ENV=dev`, and the same for a pull request.

Tells each stack's changes, what they cost a month, and what needs a person's approval: data or its protection that is
lost, and permissions that broaden. The first deployment of an environment, and a new stack with permissions of its own,
need it too, in one sentence each: there is nothing to compare with, and everything of them is in the full text.

Integrates with AWS CloudFormation (what is deployed), the CDK CLI (synthesis) and Node (`ops/diff.py`).

Exit codes: 0 nothing needs approval; 1 something does; 2 a mistake or an error, in one sentence; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3

from ops import permissions
from ops.access import Access, OpsError, connect, environment_named, run
from ops.assembly import NEVER_MADE, NOT_THERE, Assembly, StackArtifact, Template, deployed_template, stacks_of
from ops.cost.table import difference
from ops.diff import Difference, Impact, Pair, ResourceChange, differences
from ops.refused import protected, refusals
from ops.stateful import losses

GITHUB_MAXIMUM: Final = 65_536  # characters of a comment
MAXIMUM_LINES: Final = 40  # of one stack, in the short text
MAXIMUM_VALUES: Final = 6  # of one resource
MAXIMUM_BROADENINGS: Final = 10  # sentences of one stack
VALUE_LENGTH: Final = 80

REFUSED: Final = "CloudFormation will refuse this:"

VERBS: Final[Mapping[Impact, tuple[str, str]]] = {
    "WILL_CREATE": ("create", "new"),
    "WILL_UPDATE": ("update", "updated"),
    "MAY_REPLACE": ("replace?", "maybe replaced"),
    "WILL_REPLACE": ("replace", "replaced"),
    "WILL_DESTROY": ("delete", "deleted"),
    "WILL_ORPHAN": ("orphan", "orphaned"),
}


@dataclass(frozen=True)
class Changes:
    """What differs between what an environment is and what it will be."""

    environment: str
    compared_with: str
    stacks: tuple[Difference, ...]
    """Those that change, in the order of deployment."""
    unchanged: tuple[str, ...]
    left: tuple[str, ...]
    """Names of stacks that are deployed, and that the assembly does not have."""
    approvals: tuple[str, ...]
    """What a person has to approve, a sentence each."""
    refused: tuple[str, ...] = ()
    """What CloudFormation would refuse, a sentence each: then the deployment fails, and is rolled back."""
    stays: tuple[str, ...] = ()
    """What goes from its stack and stays in the account, a sentence each."""
    cost: str | None = None
    """What it costs a month at rest, if that changes, in a sentence."""

    @property
    def empty(self) -> bool:
        """Whether a deployment changes nothing."""
        return not self.stacks

    def text(self, *, full: bool = False) -> str:
        """For a terminal: each stack's changes in short, and as `cdk diff` prints them; and what needs approval."""
        parts = [self._headline()]
        for stack in self.stacks:
            lines = [*_lines(stack), *(["", *stack.text.rstrip().splitlines()] if full else [])]
            parts.append("\n".join([f"{stack.stack}: {_counts(stack)}", *(f"  {line}" for line in lines)]))
        parts += self._notes()
        if self.refused:
            parts.append("\n".join([REFUSED, *(f"  - {sentence}" for sentence in self.refused)]))
        if self.approvals:
            parts.append("\n".join(["Needs approval:", *(f"  - {sentence}" for sentence in self.approvals)]))
        else:
            parts.append("Nothing here needs approval.")
        return "\n\n".join(parts)

    def markdown(self, limit: int = GITHUB_MAXIMUM) -> str:
        """For a comment or a summary on GitHub: the same, and the full text folded away; at most `limit` characters."""
        parts = [f"### {_escaped(self._headline())}"]
        if self.refused:
            parts += [f"**{REFUSED}**", "\n".join(f"- {_escaped(sentence)}" for sentence in self.refused)]
        if self.approvals:
            parts += ["**Needs approval**", "\n".join(f"- {_escaped(sentence)}" for sentence in self.approvals)]
        else:
            parts.append("Nothing here needs approval.")
        parts += map(_escaped, self._notes())
        for stack in self.stacks:
            title = f"{stack.stack}: {_counts(stack)}"
            parts.append("\n".join([f"**{title}**", "", _fenced("\n".join(_lines(stack)))]))
            parts.append(f"<details><summary>{stack.stack}, in full</summary>\n\n{_fenced(stack.text)}\n\n</details>")
        cut = f"The rest is too long for here: `make diff ENV={self.environment} ARGS=--full` prints it."
        return _within(parts, limit, cut)

    def _headline(self) -> str:
        total = len(self.stacks) + len(self.unchanged)
        if not self.stacks:
            return f"{self.environment}: nothing changes in {total} stacks, compared with {self.compared_with}"
        return f"{self.environment}: {len(self.stacks)} of {total} stacks change, compared with {self.compared_with}"

    def _notes(self) -> list[str]:
        notes = [f"Unchanged: {', '.join(self.unchanged)}."] if self.stacks and self.unchanged else []
        notes += [self.cost] if self.cost else []
        notes += self.stays
        if self.left:
            notes.append(
                f"Deployed, but not in this release: {', '.join(self.left)}. A deployment leaves them as they are: "
                "delete them by hand if nothing needs them."
            )
        return notes


def of_deployment(access: Access, assembly: Assembly, *, color: bool = False) -> Changes:
    """What deploying the assembly would change in the environment.

    Raises
    ------
    OpsError
        The assembly has no stacks of the environment, its account does not trust the caller's, or Node failed.
    """
    environment = access.environment
    stacks = assembly.stacks(environment.name)
    session = access.acting_as("lookup")
    known = stacks_of(session.client("cloudformation"), environment)
    deployed = {name: stack for name, stack in known.items() if stack["StackStatus"] not in (*NOT_THERE, *NEVER_MADE)}
    pairs = [
        Pair(
            stack=_title(stack),
            old=_template(session, stack.name) if stack.name in deployed else None,
            new=stack.template(),
            deployed=True,
            protected=(
                stack.name in deployed and deployed[stack.name].get("EnableTerminationProtection", False),
                stack.termination_protection,
            ),
        )
        for stack in stacks
    ]
    released = {stack.name for stack in assembly.artifacts}
    where = f"what is deployed in account {environment.account}, {environment.region}"
    left = {name: _template(session, name) for name in sorted(deployed.keys() - released)}
    return _changes(environment.name, environment.region, where, pairs, left, color=color)


def between(old: Assembly, new: Assembly, environment: str, *, color: bool = False) -> Changes:
    """What differs between two assemblies of an environment, without AWS.

    Raises
    ------
    OpsError
        The new one has no stacks of the environment, or Node failed.
    """
    before = {stack.name: stack for stack in old.artifacts if stack.id.startswith(f"{environment}/")}
    stacks = new.stacks(environment)
    pairs = [
        Pair(
            stack=_title(stack),
            old=before[stack.name].template() if stack.name in before else None,
            new=stack.template(),
            protected=(
                stack.name in before and before[stack.name].termination_protection,
                stack.termination_protection,
            ),
        )
        for stack in stacks
    ]
    left = {name: before[name].template() for name in sorted(before.keys() - {stack.name for stack in stacks})}
    return _changes(environment, stacks[0].region, "the release before", pairs, left, color=color)


def _changes(
    environment: str, region: str, where: str, pairs: list[Pair], left: Mapping[str, Template], *, color: bool
) -> Changes:
    found = differences(pairs, color=color)
    none: Template = {"Resources": {}}
    old = {pair.stack: pair.old or none for pair in pairs} | dict(left)
    new = {pair.stack: pair.new or none for pair in pairs} | dict(left)  # what is left goes on costing
    return Changes(
        environment=environment,
        compared_with=where,
        stacks=tuple(stack for stack in found if not stack.empty),
        unchanged=tuple(stack.stack for stack in found if stack.empty),
        left=tuple(left),
        approvals=(*map(str, losses(found)), *_broadenings(environment, found)),
        refused=refusals(pairs, found, left),
        stays=protected(found),
        cost=difference(old, new, region),
    )


def _broadenings(environment: str, stacks: tuple[Difference, ...]) -> Iterator[str]:
    new = [stack for stack in stacks if stack.new_stack]
    if len(new) == len(stacks):
        yield (
            f"This is the first deployment of {environment}: {_permissions(new)} are new, for there is nothing to "
            "compare with."
        )
        return
    for stack in stacks:
        if stack.new_stack:
            if any(permissions.count(stack)):
                yield f"{stack.stack}: the stack is new, and with it {_permissions([stack])}."
            continue
        sentences = permissions.broadenings(stack)
        yield from sentences[:MAXIMUM_BROADENINGS]
        if len(sentences) > MAXIMUM_BROADENINGS:
            yield f"{stack.stack}: {len(sentences) - MAXIMUM_BROADENINGS} more permissions broaden; see the full text."


def _permissions(stacks: Iterable[Difference]) -> str:
    counted = [permissions.count(stack) for stack in stacks]
    statements, rules = (sum(number) for number in zip(*counted, strict=True))
    parts = [_number(statements, "IAM statement")] if statements else []
    return " and ".join(parts + ([_number(rules, "rule") + " of security groups"] if rules else []))


def _title(stack: StackArtifact) -> str:
    return stack.id.rsplit("/", 1)[-1]


def _template(session: boto3.Session, name: str) -> Template:
    try:
        template: Template = json.loads(deployed_template(session, name) or "{}")
    except ValueError:
        raise OpsError(f"the deployed template of {name} is no JSON: the CDK did not deploy it.") from None
    return template


# --- One stack ------------------------------------------------------------------------------------------------------


def _counts(stack: Difference) -> str:
    if stack.new_stack:
        return f"new, {_number(len(stack.resources), 'resource')}"
    numbers = Counter(_words(change)[1] for change in stack.resources)
    parts = [f"{number} {done}" for done, number in numbers.items()]
    sections = Counter(name.split(".")[0].removesuffix("s") for name in stack.elsewhere)
    parts += [_number(number, section) for section, number in sections.items()]
    if stack.protection[0] != stack.protection[1]:
        parts.append(f"termination protection {'on' if stack.protection[1] else 'off'}")
    return ", ".join(parts) or "its description"


def _lines(stack: Difference) -> list[str]:
    """The changed resources, each with the values that change."""
    if stack.new_stack:
        kinds = Counter(change.type for change in stack.resources)
        return [f"create   {number} x {kind}" for kind, number in sorted(kinds.items())]
    lines = [line for change in stack.resources for line in _of_resource(change)]
    if len(lines) > MAXIMUM_LINES:
        lines = [*lines[:MAXIMUM_LINES], f"… and {len(lines) - MAXIMUM_LINES} more lines (--full)"]
    return lines


def _of_resource(change: ResourceChange) -> Iterator[str]:
    head = f"{_words(change)[0]:8} {change.type} {change.logical_id}"
    if change.old is None or change.new is None:
        yield head
        return
    values = list(dict.fromkeys(_values(change)))
    if len(values) == 1:
        yield f"{head}: {values[0]}"
        return
    yield head
    yield from (f"           {value}" for value in values[:MAXIMUM_VALUES])
    if len(values) > MAXIMUM_VALUES:
        yield f"           … and {len(values) - MAXIMUM_VALUES} more (--full)"


def _words(change: ResourceChange) -> tuple[str, str]:
    """What is done with a resource, and what it will have been."""
    if change.type == "AWS::ECS::TaskDefinition" and change.impact == "WILL_REPLACE":
        return "revise", "revised"  # as ever: a task definition cannot be changed, only be followed by a new revision
    return VERBS[change.impact]


# --- Values ---------------------------------------------------------------------------------------------------------

ABSENT: Final = object()  # of a list's item, on one side
HASH: Final = re.compile(r"[0-9a-f]{64}")


def _values(change: ResourceChange) -> Iterator[str]:
    """What changes of a resource, value by value."""
    for name, impact in change.properties.items():
        before, after = change.before(name), change.after(name)
        if before == after:
            yield f"{name}: what it refers to is replaced"
            continue
        note = {"WILL_REPLACE": " (replaces it)", "MAY_REPLACE": " (may replace it)"}.get(impact, "")
        if _words(change)[0] == "revise":
            note = ""
        for path, old, new in _leaves(name, before, after):
            yield _value(change.type, path, old, new) + note
    for name in change.attributes:
        for path, old, new in _leaves(name, (change.old or {}).get(name), (change.new or {}).get(name)):
            yield _value(change.type, path, old, new)


def _value(kind: str, path: str, before: object, after: object) -> str:
    if before is ABSENT or after is ABSENT:
        return f"{path}: adds {_brief(after)}" if before is ABSENT else f"{path}: loses {_brief(before)}"
    old, new = _shown(before), _shown(after)
    # A package or an image by the hash of its content: the hash tells nobody anything.
    if HASH.search(old) and HASH.search(new) and HASH.sub("", old) == HASH.sub("", new):
        if path.endswith("Image"):
            return "image changed"
        return "code of the function changed" if kind == "AWS::Lambda::Function" else f"{path}: content changed"
    if path.endswith("Image") and HASH.search(new):
        return f"image changed: {HASH.sub(_short_hash, old)} → {HASH.sub(_short_hash, new)}"
    if max(len(old), len(new)) > VALUE_LENGTH:
        return f"{path}: {'set' if before is None else 'removed' if after is None else 'changes'}"
    return f"{path}: {old} → {new}"


def _brief(value: object) -> str:
    text = _shown(value)
    return text if len(text) <= VALUE_LENGTH else f"{text[: VALUE_LENGTH - 1]}…"


def _short_hash(match: re.Match[str]) -> str:
    return match[0][:12]


def _leaves(path: str, before: Any, after: Any) -> Iterator[tuple[str, object, object]]:  # noqa: ANN401 - JSON
    """The smallest values that differ, with their places: `ContainerDefinitions[LiteLLM].Cpu`."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict) and not (_intrinsic(before) or _intrinsic(after)):
        for key in dict.fromkeys((*before, *after)):
            yield from _leaves(f"{path}.{key}", before.get(key), after.get(key))
        return
    if isinstance(before, list) and isinstance(after, list):
        old, new = _by_identity(before), _by_identity(after)
        if old is not None and new is not None:
            for key in dict.fromkeys((*old, *new)):
                yield from _leaves(f"{path}[{key}]", old.get(key), new.get(key))
        elif len(before) == len(after):
            for index, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from _leaves(f"{path}[{index}]", one, other)
        else:
            yield from ((path, item, ABSENT) for item in before if item not in after)
            yield from ((path, ABSENT, item) for item in after if item not in before)
        return
    yield path, before, after


def _by_identity(items: list[Any]) -> dict[str, Any] | None:
    """A list's items by what names them, if each has such a name of its own."""
    for key in ("Name", "Key", "Sid", "Id"):
        if all(isinstance(item, dict) and isinstance(item.get(key), str) for item in items):
            named = {item[key]: item for item in items}
            if len(named) == len(items):
                return named
    return None


def _intrinsic(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::"))


def _shown(value: object) -> str:
    """A value in one line, references as `${LogicalId}`."""
    plain = _plain(value)
    return "none" if plain is None else plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> Any:  # noqa: ANN401 - a template is JSON
    """The value with text in place of CloudFormation's functions."""
    match value:
        case {"Ref": str(name)}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(map(_shown, parts))
        case {"Fn::Sub": str(pattern)}:
            return pattern
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
    return value


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# --- Markdown -------------------------------------------------------------------------------------------------------


def _escaped(text: str) -> str:
    """Text that markdown leaves as it is: `*`, `$`, and names that GitHub would notify."""
    text = re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", text)
    return text.replace("@", "@\u200b")  # a space of no width


def _fenced(text: str) -> str:
    longest = max((len(ticks) for ticks in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def _within(parts: Iterable[str], limit: int, cut: str) -> str:
    """The parts that fit, whole, and a sentence if some do not."""
    kept: list[str] = []
    room = limit - len(cut) - 2
    complete = True
    for part in parts:
        if len(part) + 2 <= room:
            kept.append(part)
            room -= len(part) + 2
        else:
            complete = False
    return "\n\n".join(kept if complete else [*kept, cut])


# --- The command ----------------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.changes", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument(
        "--env", nargs="+", default=[], metavar="NAME", help="an environment of company/environments.py"
    )
    result.add_argument("--app", type=Path, metavar="DIR", help="a synthesized assembly; without, it is synthesized")
    result.add_argument("--from", type=Path, dest="old", metavar="DIR", help="compare this assembly with that of --to")
    result.add_argument("--to", type=Path, dest="new", metavar="DIR")
    result.add_argument("--format", choices=("text", "markdown"), default="text")
    result.add_argument("--full", action="store_true", help="all that changes, as `cdk diff` prints it")
    result.add_argument("--assume-roles", action="store_true", help="credentials are of the account that releases")
    return result


def main(argv: list[str] | None = None, *, session: boto3.Session | None = None) -> int:
    """Run the command and return its exit code. Tests give the session."""
    arguments = parser().parse_args(argv)
    color = arguments.full and arguments.format == "text" and sys.stdout.isatty()

    def work() -> int:
        if (arguments.old is None) != (arguments.new is None):
            raise OpsError("--from and --to go together: give both folders, or neither.")
        if arguments.old:
            found = _between(arguments, color)
        elif len(arguments.env) == 1:
            environment = environment_named(arguments.env[0])
            access = connect(environment, session, assume_roles=arguments.assume_roles)
            assembly = Assembly.load(arguments.app) if arguments.app else Assembly.synthesize([environment.name])
            found = [of_deployment(access, assembly, color=color)]
        else:
            raise OpsError("--env names the one environment to compare with, or --from and --to two assemblies.")
        limit = (GITHUB_MAXIMUM - 2 * len(found)) // len(found)
        texts = [
            changes.markdown(limit) if arguments.format == "markdown" else changes.text(full=arguments.full)
            for changes in found
        ]
        print("\n\n".join(texts))
        return 1 if any(changes.approvals for changes in found) else 0

    return run("diff", work)


def _between(arguments: argparse.Namespace, color: bool) -> list[Changes]:
    old, new = Assembly.load(arguments.old), Assembly.load(arguments.new)
    chosen = arguments.env or [name for name in new.environments() if name in old.environments()]
    if not chosen:
        raise OpsError("the two assemblies have no environment in common: name one with --env.")
    return [between(old, new, name, color=color) for name in chosen]


if __name__ == "__main__":
    sys.exit(main())
