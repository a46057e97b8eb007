"""Rotations as docs/operations/rotate.md has them: its own commands, while people ask all the time."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.gateway import LocalGateway
from stacks import CHECKOUT
from stacks.settings import DATABASE_NAME, DATABASE_USERNAME
from tests.e2e.conftest import callers, template_of, update_stack

PAGE = "operations/rotate.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What the image has too: LiteLLM's Python, with a client of PostgreSQL.
LITELLM_PYTHON = CHECKOUT / ".tools" / "litellm" / "bin" / "python"
SIGN_IN = "import psycopg; psycopg.connect().close()"
CHANGE_PASSWORD = """
import os, psycopg
from psycopg import sql
with psycopg.connect(autocommit=True) as server:
    role, password = sql.Identifier(server.info.user), sql.Literal(os.environ["NEW_PASSWORD"])
    server.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, password))
"""


def blocks(page: str, heading: str) -> list[list[str]]:
    """The commands of each block of shell below a heading."""
    _, _, rest = (CHECKOUT / "docs" / page).read_text().partition(f"\n## {heading}\n")
    section = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return [re.sub(r"\\\n\s*", " ", block).splitlines() for block in BLOCK.findall(section)]


class Operator:
    """Somebody who pastes from the pages into a shell; for the AWS CLI there is tests/aws_cli.py."""

    def __init__(self, gateway: LocalGateway, programs: Path) -> None:
        # The real `make` would take the environment `local` for what `make up` runs on this machine.
        secrets = 'test "$1" = secrets; exec {} -m ops.secrets --env "${{2#ENV=}}" ${{3#ARGS=}}'
        for name, script in {"aws": 'exec {} -m tests.aws_cli "$@"', "make": secrets}.items():
            (programs / name).write_text(f"#!/bin/sh -e\n{script.format(sys.executable)}\n")
            (programs / name).chmod(0o700)
        page = (CHECKOUT / "docs" / "operations.md").read_text()
        needed, *_ = BLOCK.findall(page)
        self._needed = needed.replace("ENVIRONMENT=prod", f"ENVIRONMENT=local PATH={programs}:$PATH")
        self._environment = {**os.environ, **gateway.access}

    def types(self, command: str, *, answers: str = "") -> str:
        """What a command prints, its question answered."""
        run = subprocess.run(
            ["/bin/bash", "-euc", f"{self._needed}\n{command}"],
            cwd=CHECKOUT,
            env=self._environment,
            input=f"{answers}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"
        return run.stdout


@pytest.fixture
def operator(gateway: LocalGateway, tmp_path: Path) -> Operator:
    return Operator(gateway, tmp_path)


def on_database(
    gateway: LocalGateway, password: str, program: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of Python's that signs in to PostgreSQL with this password."""
    login = {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(gateway.place.containers["DATABASE_PORT"]),
        "PGDATABASE": DATABASE_NAME,
        "PGUSER": DATABASE_USERNAME,
        "PGPASSWORD": password,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(gateway.outside.ca_file),
    }
    command = [str(LITELLM_PYTHON), "-c", program]
    return subprocess.run(command, env={**login, **variables}, capture_output=True, text=True, check=False)


def status(gateway: LocalGateway, path: str, key: str) -> int:
    return gateway.api("GET", path, key=key).status_code


def ui_session(gateway: LocalGateway) -> str:
    """The key of a new session of the admin UI, which is in its cookie."""
    login = {"username": "admin", "password": gateway.secret("UI_PASSWORD")}
    _, claims, _ = gateway.api("POST", "/v2/login", json=login).json()["token"].split(".")
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(f"{claims}=="))
    return str(found["key"])


def test_the_databases_password_without_downtime(gateway: LocalGateway, operator: Operator, user: str) -> None:
    """ALTER ROLE on the local PostgreSQL stands for what modify-db-cluster does to Aurora."""
    old = gateway.secret("DATABASE_PASSWORD")
    rotate, look = blocks(PAGE, "The database's password")
    with callers(gateway, gateway.user_key(user)) as statuses:
        for command in rotate:
            operator.types(command, answers="DATABASE_PASSWORD")
            if command.startswith("aws rds modify-db-cluster "):
                change = on_database(gateway, old, CHANGE_PASSWORD, NEW_PASSWORD=gateway.secret("DATABASE_PASSWORD"))
                assert change.returncode == 0, change.stderr
    assert set(statuses) == {200}
    assert [operator.types(command).strip() for command in look] == ["COMPLETED"]
    assert on_database(gateway, gateway.secret("DATABASE_PASSWORD"), SIGN_IN).returncode == 0
    assert "password authentication failed" in on_database(gateway, old, SIGN_IN).stderr


def test_the_master_key_and_what_goes_on_without_it(gateway: LocalGateway, operator: Operator, user: str) -> None:
    old, key, session = gateway.secret("LITELLM_MASTER_KEY"), gateway.user_key(user), ui_session(gateway)
    ((*rotate, authorization, ask),) = blocks(PAGE, "The master key")
    with callers(gateway, key) as statuses:
        for command in rotate:
            operator.types(command, answers="LITELLM_MASTER_KEY")
    assert set(statuses) == {200}
    ask = ask.replace("$(parameter base-url)", gateway.url)  # a name that only AWS resolves
    assert operator.types(f"{authorization}\n{ask}").strip() == "200"
    assert status(gateway, f"/user/info?user_id={user}", old) == 401
    going_on = {
        f"/user/info?user_id={user}": [session, gateway.secret("ONBOARDING_KEY")],
        "/model/info": [gateway.secret("USAGE_KEY")],
        "/v1/model/info": [gateway.secret("SMOKE_KEY")],
    }
    assert {path: [status(gateway, path, key) for key in keys] for path, keys in going_on.items()} == {
        path: [200] * len(keys) for path, keys in going_on.items()
    }


def test_a_functions_key_by_another_label(gateway: LocalGateway) -> None:
    old, stack = gateway.secret("USAGE_KEY"), "litellm-local-usage"
    template = template_of(gateway, stack)
    (made,) = (each for each in template["Resources"].values() if each["Type"] == "Custom::LiteLlmKey")
    made["Properties"]["Label"] = "another"
    assert update_stack(gateway, stack, template) == "UPDATE_COMPLETE"
    assert status(gateway, "/model/info", old) == 401
    assert status(gateway, "/model/info", gateway.secret("USAGE_KEY")) == 200


def test_a_task_of_ones_own_looks_into_a_database(gateway: LocalGateway, operator: Operator) -> None:
    """What a restored database is looked at with; a cluster's address is 127.0.0.1 here, whatever its name."""
    (look, migrate) = blocks("operations/restore-database.md", "Check it")
    names = "MIGRATION=$(resource gateway AWS::ECS::TaskDefinition MigrationTask) RESTORED=litellm-$ENVIRONMENT"
    found = operator.types("\n".join((names, *look)))
    assert re.search(r"^\d+  \S+ \S+  \d{3}$", found, re.MULTILINE), found
    assert found.endswith("\t0\n")
    assert "Skipping server startup" in operator.types("\n".join((names, *migrate)))
