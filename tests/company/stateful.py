"""The record of what holds data in every environment, `stateful.json` of the company's folder: `make stateful`.

`test_stateful.py` compares the templates with it. `make snapshots` leaves it alone: a change that loses data is
accepted here, by a person, who is told what is lost.

Exit codes: 0 the record is as the templates are; 1 data would be lost, and nobody accepted it.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.assembly import Template
from ops.diff import Pair, differences, models
from ops.stateful import Loss, kept, losses
from stacks.company import company
from tests.company.synthesis import everything

COMMAND = "make stateful"

Templates = Mapping[str, Mapping[str, Template]]
"""By environment and stack."""
Record = dict[str, dict[str, dict[str, Any]]]
"""By environment, stack and logical id: what `kept` leaves of a resource."""


@dataclass(frozen=True)
class Verdict:
    """What the templates lose of the record, and the record as it is to be."""

    losses: Mapping[Loss, tuple[str, ...]]
    """With the environments of each."""
    gone: tuple[str, ...]
    """Recorded environments that are there no more."""
    behind: tuple[str, ...]
    """What the record lacks or has otherwise, though nothing is lost by it."""
    record: Record

    @property
    def lost(self) -> str:
        """The sentences that an SRE needs, or nothing."""
        sentences = [f"{', '.join(names)}: {loss}\n  Instead: {loss.instead}." for loss, names in self.losses.items()]
        sentences += [
            f"{name}: the environment is in company/environments.py no more, but its stacks stay deployed with their "
            f"data.\n  Instead: remove them first, with make destroy ENV={name}."
            for name in self.gone
        ]
        return "\n".join(sentences)


def judge(record: Record, templates: Templates) -> Verdict:
    """Compare the templates with the record."""
    types = {
        resource["Type"]
        for stacks in templates.values()
        for template in stacks.values()
        for resource in template["Resources"].values()
    }
    known = models(frozenset(types))
    new: Record = {
        environment: {name: found for name, template in stacks.items() if (found := kept(template, known))}
        for environment, stacks in templates.items()
    }
    pairs = {
        environment: [
            Pair(
                stack,
                {"Resources": record[environment].get(stack, {})},
                {"Resources": new[environment].get(stack, {})} if stack in templates[environment] else None,
            )
            for stack in {**record[environment], **new[environment]}
        ]
        for environment in record
        if environment in new
    }
    compared = iter(differences([pair for some in pairs.values() for pair in some]))
    lost: dict[Loss, tuple[str, ...]] = {}
    for environment, some in pairs.items():
        for loss in losses([next(compared) for _ in some]):
            lost[loss] = (*lost.get(loss, ()), environment)
    gone = tuple(name for name in record if name not in new)
    return Verdict(lost, gone, tuple(_behind(record, new)), new)


def _behind(record: Record, new: Record) -> Iterable[str]:
    for environment, stacks in new.items():
        for stack, resources in stacks.items():
            recorded = record.get(environment, {}).get(stack, {})
            for logical_id, resource in resources.items():
                if recorded.get(logical_id) != resource:
                    yield f"{environment}: {stack}: {resource['Type']} {logical_id}"
            # What only a removed property referred to; what held data would be a loss.
            for logical_id in recorded.keys() - resources.keys():
                yield f"{environment}: {stack}: {recorded[logical_id]['Type']} {logical_id}"


def read(file: Path) -> Record:
    """The committed record; empty if there is none yet."""
    content: Record = json.loads(file.read_text()) if file.exists() else {}
    return content


def written(record: Record) -> str:
    """The record as text, a resource a line: what a commit changes can be read."""

    def block(begin: str, lines: list[str], indent: str) -> str:
        return f"{begin}{{\n" + ",\n".join(lines) + f"\n{indent}}}"

    environments_ = [
        block(
            f"  {json.dumps(environment)}: ",
            [
                block(
                    f"    {json.dumps(stack)}: ",
                    [f"      {json.dumps(key)}: {json.dumps(resource)}" for key, resource in resources.items()],
                    "    ",
                )
                for stack, resources in sorted(stacks.items())
            ],
            "  ",
        )
        for environment, stacks in record.items()
    ]
    return block("", environments_, "") + "\n"


def main(argv: list[str] | None = None) -> int:
    """Record what holds data; a loss only with `--accept`."""
    parser = argparse.ArgumentParser(prog="python -m tests.company.stateful", description="Records what holds data.")
    parser.add_argument("--accept", action="store_true", help="lose the data that it names")
    accept = parser.parse_args(argv).accept
    own = company()
    verdict = judge(read(own.record), everything(own))
    if verdict.lost:
        print(f"{verdict.lost}\n")
    if verdict.lost and not accept:
        print(f"Not recorded. To lose that data when this is deployed: {COMMAND} ARGS=--accept")
        return 1
    own.record.write_text(written(verdict.record))
    print("Accepted: the above is lost when this is deployed." if verdict.lost else "Nothing is lost.")
    for line in verdict.behind:
        print(f"Recorded: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
