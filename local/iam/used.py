"""Which of the actions that the deployed roles may do they ever did: least privilege, measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from local.ecs import ministack

_NAME = re.compile(r"litellm-(?:[a-z0-9]+)-(?P<own>.+?)-?[0-9A-F]{0,13}")


@dataclass(frozen=True, order=True)
class Grant:
    """An action that a statement allows a role of the stacks, on these resources."""

    role: str  # stack and logical id, without the environment and what CloudFormation appends
    action: str
    resources: tuple[str, ...]


def grants() -> Iterator[Grant]:
    """What the roles in the emulated AWS may do, by their own policies."""
    parse = ministack("core.iam_evaluator").parse_policy_document
    for role in ministack("services.iam")._roles.to_dict().values():
        if own := own_name(role["RoleName"]):
            for policy in (role.get("InlinePolicies") or {}).values():
                for statement in parse(policy):
                    for action in statement.actions if statement.effect == "Allow" else ():
                        yield Grant(own, action, tuple(sorted(statement.resources)))


def own_name(role: str) -> str:
    """What a role's name is in every environment: empty for one that is not of the stacks."""
    named = _NAME.fullmatch(role)
    return named["own"] if named else ""


def write(file: Path) -> None:
    """Write the grants down, one JSON list a line."""
    file.write_text("".join(json.dumps([grant.role, grant.action, grant.resources]) + "\n" for grant in grants()))


def unused(folders: Iterable[Path], granted: str, decisions: str) -> list[tuple[str, str]]:
    """The roles and actions that were never used in any of the emulators' state folders.

    Parameters
    ----------
    granted, decisions
        The names of the two records in a state folder.
    """
    known: set[tuple[str, str]] = set()
    used: set[tuple[str, str]] = set()
    for folder in folders:
        if not (folder / granted).exists():
            continue
        # An emulator that nobody asked anything but as an operator has decided nothing.
        written = (folder / decisions).read_text() if (folder / decisions).exists() else ""
        done = [json.loads(line) for line in written.splitlines()]
        acted = [
            (own_name(one["principal"].split("/")[1]), one["action"], one["resource"])
            for one in done
            if one["allowed"] and ":assumed-role/" in one["principal"]
        ]
        for role, action, resources in map(json.loads, (folder / granted).read_text().splitlines()):
            known.add((role, action))
            if any(
                who == role
                and fnmatchcase(what.lower(), action.lower())
                and any(fnmatchcase(whereto, resource) for resource in resources)
                for who, what, whereto in acted
            ):
                used.add((role, action))
    return sorted(known - used)
