"""Which of the actions that the deployed roles may do they ever did: least privilege, measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from local.ecs import ministack

# litellm-ENVIRONMENT-STACK-LOGICAL_ID, whose end is a hash, and then what CloudFormation appends; cut to 64 characters.
_NAME = re.compile(r"litellm-[a-z0-9]+-(?P<own>[a-z]+-\w*?)(?:[0-9A-F]{6,}|-[0-9A-F]+|$).*")


def grants() -> Iterator[tuple[str, str]]:
    """What the roles of the stacks in the emulated AWS may do by their own policies: `own_name` and action of each."""
    parse = ministack("core.iam_evaluator").parse_policy_document
    for role in ministack("services.iam")._roles.to_dict().values():
        if own := own_name(role["RoleName"]):
            for policy in (role.get("InlinePolicies") or {}).values():
                for statement in parse(policy):
                    for action in statement.actions if statement.effect == "Allow" else ():
                        yield own, action


def own_name(role: str) -> str:
    """What a role's name is in every environment, as far as it is whole: empty for one that is not of the stacks."""
    named = _NAME.fullmatch(role)
    return named["own"] if named else ""


def write(file: Path) -> None:
    """Write the grants down, one JSON list a line."""
    file.write_text("".join(json.dumps(grant) + "\n" for grant in sorted({*grants()})))


def unused(folders: Iterable[Path], granted: str, decisions: str) -> list[tuple[str, str]]:
    """The roles and actions that were never used in any of the emulators' state folders.

    Parameters
    ----------
    granted, decisions
        The names of the two records in a state folder.
    """
    known: set[tuple[str, str]] = set()
    acted: set[tuple[str, str]] = set()
    for folder in folders:
        known |= {(role, action) for role, action in _lines(folder / granted)}
        # An emulator that nobody asked anything but as an operator has decided nothing.
        acted |= {
            (own_name(one["principal"].split("/")[1]), one["action"].lower())
            for one in _lines(folder / decisions)
            if one["allowed"] and ":assumed-role/" in one["principal"]
        }
    used = {
        (role, action)
        for role, action in known
        for who, what in acted
        if _is_same(who, role) and fnmatchcase(what, action.lower())
    }
    return sorted(known - used)


def _lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _is_same(one: str, other: str) -> bool:
    """Whether two names are of the same role, of which a longer environment's has less room."""
    return bool(one and other) and (one.startswith(other) or other.startswith(one))
