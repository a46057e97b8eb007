"""Whether the secrets that people give are in the parameter store.

Integrates with Systems Manager.
"""

from __future__ import annotations

from collections.abc import Iterator

from ops.doctor.account import Account
from ops.doctor.finding import Finding, problem, well
from ops.secrets import Store, required_secrets


def secrets(account: Account) -> Iterator[Finding]:
    """The secrets that people give are there, encrypted."""
    what, environment = "secrets", account.environment
    names = required_secrets(environment)
    parameters = Store(environment, account.client("ssm")).parameters(names)
    if missing := [name for name in names if name not in parameters]:
        yield problem(what, f"missing: {', '.join(missing)}", f"run `make secrets ENV={environment.name}`.")
    if wrong := [environment.parameter(name) for name, found in parameters.items() if not found.is_secret]:
        yield problem(
            what,
            f"not encrypted: {', '.join(wrong)}",
            f"delete each (aws ssm delete-parameter --name …), and run `make secrets ENV={environment.name}` with new "
            "values: the old ones may have been seen.",
        )
    if not missing and not wrong:
        yield well(what, f"all {len(names)} are in {environment.parameter_prefix}")
