"""What each environment of a company costs at rest, in a line each: for `make cost ARGS=--all`, and at the end of `make
init`, which tells what the answers change.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ops.access import OpsError
from ops.cost.parts import at_rest, dollars
from ops.cost.prices import prices_of
from ops.cost.table import whole
from ops.templates import Facts, synthesize
from stacks import CHECKOUT
from stacks.settings import Environment

Rest = Mapping[str, float | None]
"""US dollars a month by environment; None where nothing is known of its region's prices."""


def at_rest_by_name(environments: Mapping[str, Environment]) -> Rest:
    """Of the company in force."""
    return {name: _at_rest(one) for name, one in environments.items()}


def _at_rest(environment: Environment) -> float | None:
    try:
        prices = prices_of(environment.region)
    except OpsError:
        return None
    return dollars(at_rest(Facts(synthesize(environment.name))), prices)


def at_rest_of(folder: Path) -> Rest | None:
    """Of the company in a folder, in a process of its own: what is in force in one is so once and for all.

    None if it cannot be synthesized.
    """
    run = subprocess.run(
        [sys.executable, "-m", "ops.cost", "--all", "--json"],
        cwd=CHECKOUT,
        env={**os.environ, "COMPANY": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    found: Rest | None = json.loads(run.stdout[run.stdout.index("{") :]) if not run.returncode else None
    return found


def told(now: Rest, before: Rest | None = None) -> Iterator[str]:
    """A line for each environment, with the difference from what it cost before, where there was one."""
    width = max(map(len, now), default=0)
    for name, amount in now.items():
        if amount is None:
            yield f"  {name:<{width}}  its region's prices are not known here: make cost ENV={name} says how they come"
            continue
        yield f"  {name:<{width}} {whole(amount):>6,} USD{_difference(name, amount, before)}"
    for name in sorted((before or {}).keys() - now.keys()):
        yield f"  {name:<{width}} is no longer there"


def _difference(name: str, amount: float, before: Rest | None) -> str:
    if before is None:
        return ""
    old = before.get(name)
    if old is None:
        return ", new"
    change = whole(amount) - whole(old)
    return f", {abs(change):,} {'more' if change > 0 else 'less'} than before" if change else ", as before"
