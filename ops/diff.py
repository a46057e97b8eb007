"""What differs between two CloudFormation templates, as the CDK's own library finds it (`ops/diff.mjs`).

Integrates with @aws-cdk/cloudformation-diff, in one Node process for all that is compared. It knows which properties
CloudFormation cannot change in place, follows a replacement to what refers to it, and compares permissions.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Final, Literal, cast

from ops.access import OpsError
from ops.assembly import Template
from stacks import CHECKOUT

PROGRAM: Final = CHECKOUT / "ops" / "diff.mjs"

Impact = Literal["WILL_CREATE", "WILL_UPDATE", "MAY_REPLACE", "WILL_REPLACE", "WILL_DESTROY", "WILL_ORPHAN"]
"""What CloudFormation does to a resource, in the library's words."""


@dataclass(frozen=True)
class Pair:
    """One stack's template before and after; None where there is none."""

    stack: str
    old: Template | None
    new: Template | None
    deployed: bool = False
    """Whether the old one was read from CloudFormation, which gives back `?` for what is not ASCII."""
    protected: tuple[bool, bool] = (False, False)
    """Whether the stack has termination protection, before and after."""


@dataclass(frozen=True)
class TypeModel:
    """What CloudFormation's schema says of the properties of a resource type."""

    replacing: tuple[str, ...]
    """Cannot be changed: a change replaces the resource."""
    may_replace: tuple[str, ...]
    """A change replaces it in some cases."""
    name: tuple[str, ...]
    """Together the name that no second resource may have."""


@dataclass(frozen=True)
class ResourceChange:
    """One resource that differs; `old` and `new` are the whole of it in its template, or None."""

    logical_id: str
    type: str
    impact: Impact
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    properties: Mapping[str, str]
    """The properties that differ, each with its own impact."""
    attributes: tuple[str, ...]
    """What else differs of it, such as DeletionPolicy and DependsOn."""

    @property
    def replacing(self) -> tuple[str, ...]:
        """The properties whose change replaces it, or may."""
        return tuple(name for name, impact in self.properties.items() if impact in ("WILL_REPLACE", "MAY_REPLACE"))

    def before(self, *path: str) -> Any:  # noqa: ANN401 - a template is JSON
        """A value of the old properties, or None."""
        return _at(self.old, path)

    def after(self, *path: str) -> Any:  # noqa: ANN401 - a template is JSON
        """A value of the new properties, or None."""
        return _at(self.new, path)


@dataclass(frozen=True)
class Difference:
    """What differs in one stack."""

    stack: str
    new_stack: bool
    removed_stack: bool
    resources: tuple[ResourceChange, ...]
    elsewhere: tuple[str, ...]
    """Other parts of the template that differ: `outputs.Url`."""
    permissions: Mapping[str, Any]
    """Statements, managed policies and rules of security groups that are added and removed."""
    text: str
    """What `cdk diff` prints of it."""
    protection: tuple[bool, bool] = (False, False)
    """Whether the stack has termination protection, before and after."""

    @property
    def empty(self) -> bool:
        """Whether nothing differs."""
        return not self.text and self.protection[0] == self.protection[1]

    @property
    def unprotected(self) -> bool:
        """Whether the stack loses its termination protection."""
        return self.protection == (True, False)


def differences(pairs: Sequence[Pair], *, color: bool = False) -> tuple[Difference, ...]:
    """What differs in each pair, in their order.

    What the CDK writes for itself, such as the paths of constructs, is left out of the comparison.

    Raises
    ------
    OpsError
        Node or the library is not there, or it failed.
    """
    olds = [comparable(pair.old or {}) for pair in pairs]
    news = [comparable(pair.new or {}) for pair in pairs]
    question = [
        {"old": old, "new": new, "deployed": pair.deployed, "paths": _paths(pair)}
        for pair, old, new in zip(pairs, olds, news, strict=True)
    ]
    answer = _ask_node({"pairs": question}, color)["pairs"]
    return tuple(
        Difference(
            stack=pair.stack,
            new_stack=pair.old is None,
            removed_stack=pair.new is None,
            resources=tuple(
                ResourceChange(
                    logical_id=change["id"],
                    type=change["type"],
                    impact=change["impact"],
                    old=old.get("Resources", {}).get(change["id"]),
                    new=new.get("Resources", {}).get(change["id"]),
                    properties=change["properties"],
                    attributes=tuple(change["attributes"]),
                )
                for change in given["resources"]
            ),
            elsewhere=tuple(given["elsewhere"]),
            permissions=given["permissions"],
            text=given["text"],
            protection=pair.protected,
        )
        for pair, old, new, given in zip(pairs, olds, news, answer, strict=True)
    )


@cache
def models(types: frozenset[str]) -> dict[str, TypeModel]:
    """The models of resource types, by type.

    Raises
    ------
    OpsError
        As of `differences`.
    """
    answer = _ask_node({"types": sorted(types)}, color=False)["types"]
    return {
        name: TypeModel(tuple(model["replacing"]), tuple(model["may_replace"]), tuple(model["name"]))
        for name, model in answer.items()
    }


def comparable(template: Template) -> Template:
    """The template without what the CDK writes for itself."""
    parts = {
        section: {
            key: value
            for key, value in content.items()
            if key not in ("BootstrapVersion", "CheckBootstrapVersion", "CDKMetadataAvailable")
            and not (section == "Resources" and value["Type"] == "AWS::CDK::Metadata")
        }
        if isinstance(content, dict)
        else content
        for section, content in template.items()
    }
    if "Resources" in parts:
        parts["Resources"] = {key: _without_notes(resource) for key, resource in parts["Resources"].items()}
    return {section: content for section, content in parts.items() if content != {}}


def _without_notes(resource: Mapping[str, Any]) -> dict[str, Any]:
    notes = {key: note for key, note in resource.get("Metadata", {}).items() if not key.startswith("aws:")}
    return {key: value for key, value in resource.items() if key != "Metadata"} | ({"Metadata": notes} if notes else {})


def _paths(pair: Pair) -> dict[str, str]:
    """The construct paths of resources by logical id."""
    return {
        logical_id: resource["Metadata"]["aws:cdk:path"]
        for template in (pair.old, pair.new)
        for logical_id, resource in (template or {}).get("Resources", {}).items()
        if "aws:cdk:path" in resource.get("Metadata", {})
    }


def _at(resource: Mapping[str, Any] | None, path: Iterable[str]) -> Any:  # noqa: ANN401 - a template is JSON
    value: Any = (resource or {}).get("Properties", {})
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _ask_node(question: Mapping[str, Any], color: bool) -> Any:  # noqa: ANN401 - JSON
    node = Path(sys.executable).with_name("node")
    if not node.exists() or not (CHECKOUT / "node_modules" / "@aws-cdk" / "cloudformation-diff").exists():
        raise OpsError("what compares templates is not installed: run make setup.")
    comparer = _comparer(node, PROGRAM, color)
    answer = comparer.ask(json.dumps(question))
    if answer is None:
        _comparer.cache_clear()
        raise OpsError(f"ops/diff.mjs could not compare the templates: {comparer.failure()}.")
    return json.loads(answer)


@cache
def _comparer(node: Path, program: Path, color: bool) -> _Comparer:
    """The one process that is asked: half a second of its first answer is the schema of CloudFormation."""
    comparer = _Comparer(node, program, color)
    atexit.register(comparer.process.communicate)  # which closes its input, and so ends it
    return comparer


class _Comparer:
    """A process of Node that answers questions, each of which is a line, until its input is closed."""

    def __init__(self, node: Path, program: Path, color: bool) -> None:
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - open as long as the process
        self.process = subprocess.Popen(  # noqa: S603 - nothing but the two paths
            [node, program],
            env=os.environ | {"FORCE_COLOR": "1" if color else "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            encoding="utf-8",
        )

    def ask(self, question: str) -> str | None:
        """The answer, or None where there is none to come."""
        asked, answered = cast("IO[str]", self.process.stdin), cast("IO[str]", self.process.stdout)
        with contextlib.suppress(BrokenPipeError):
            asked.write(question + "\n")
            asked.flush()
        return answered.readline() or None

    def failure(self) -> str:
        """Why it ended: Node prints the place in the program, the error, and a trace."""
        code = self.process.wait()
        self.said.seek(0)
        error = re.search(r"^\w*Error\b.*$", self.said.read(), re.MULTILINE)
        return error[0] if error else f"exit code {code}"
