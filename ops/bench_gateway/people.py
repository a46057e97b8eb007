"""People with budgets and a key each, as onboarding makes them.

The first is made by LiteLLM's API with what onboarding sends (`Accounts._make` in lambda/onboarding/accounts.py), and a
key as a person makes one in the admin UI. The others are copies of these rows: to make 500 by the API takes longer than
all that is measured.
"""

from __future__ import annotations

import secrets
from typing import Final

from ops.bench_gateway.servers import Server
from stacks.settings import Environment

FIRST: Final = "person-0@example.com"
TEAM: Final = "platform"
# What differs between two people in each of the tables that know them: expressions on the row `r` and the number `n`.
# LiteLLM keeps the SHA-256 of a key.
COPIES: Final = {
    "LiteLLM_UserTable": {"user_id": "person(n)", "user_email": "person(n)"},
    "LiteLLM_TeamMembership": {"user_id": "person(n)"},
    "LiteLLM_VerificationToken": {
        "user_id": "person(n)",
        "key_alias": "person(n)",
        "token": "encode(sha256(convert_to(key(n), 'UTF8')), 'hex')",
    },
}


def make(server: Server, environment: Environment, count: int) -> list[str]:
    """Make people in a LiteLLM that has none, and return their keys.

    Raises
    ------
    ServerError
        LiteLLM or PostgreSQL refused.
    """
    accounts = environment.onboarding
    budget = {
        "max_budget": float(accounts.max_budget) if accounts else 100.0,
        "budget_duration": accounts.budget_duration if accounts else "30d",
    }
    limits = {"tpm_limit": accounts.tpm_limit, "rpm_limit": accounts.rpm_limit} if accounts else {}
    server.api("POST", "/team/new", json={"team_id": TEAM, "team_alias": TEAM})
    person = {
        "user_id": FIRST,
        "user_email": FIRST,
        "user_role": "internal_user",
        "models": [],  # all of config.yaml, whatever a new account may ask: those that are measured are among them
        "auto_create_key": False,
        "send_invite_email": False,
    }
    server.api("POST", "/user/new", json={**person, **budget, **limits})
    server.api("POST", "/team/member_add", json={"team_id": TEAM, "member": {"role": "user", "user_id": FIRST}})
    made = server.api("POST", "/key/generate", json={"user_id": FIRST, "key_alias": FIRST})
    prefix = f"sk-{secrets.token_hex(12)}"
    server.database.ask(copies(prefix, count))
    return [str(made["key"]), *(f"{prefix}-{number}" for number in range(1, count))]


def copies(prefix: str, count: int) -> str:
    """The SQL that copies the first person's rows; a copy's key is `prefix` and its number."""
    statements = []
    for table, changes in COPIES.items():
        changed = ", ".join(f"'{column}', {_expression(how, prefix)}" for column, how in changes.items())
        statements.append(
            f'INSERT INTO "{table}" SELECT (jsonb_populate_record(r, jsonb_build_object({changed}))).* '  # noqa: S608 - ours
            f"FROM \"{table}\" r, generate_series(1, {count - 1}) n WHERE r.user_id = '{FIRST}'"
        )
    return ";\n".join((*statements, "SELECT 1 AS done"))


def _expression(how: str, prefix: str) -> str:
    return how.replace("person(n)", "'person-' || n || '@example.com'").replace("key(n)", f"'{prefix}-' || n")
