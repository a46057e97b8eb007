"""tests/e2e/told.py: what nobody is to see is found wherever a gateway could have left it."""

import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from local.outside.completion import COMPLETION_PHRASE
from tests.e2e import told

MASTER, PRIVATE = "sk-0123456789-the-master-key", "MIIEvQIBADANBgkqhkiG9w0BAQEF"
PLACES = ("aws/logs/ministack-ecs-1-litellm.log", "aws/logs/litellm-local-smoke-Test.log", "deploy.log", told.TOLD)
TEMPLATE = "cdk.out/assembly-local/localGateway.template.json"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A gateway's folder, as one leaves it that has told nothing."""
    folder = tmp_path / "popen-gw0" / "gateway0"
    for name in (*PLACES, TEMPLATE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    secrets = {"LITELLM_MASTER_KEY": MASTER, "VERTEX_CREDENTIALS": json.dumps({"private_key": f"-\n{PRIVATE}\n"})}
    (folder / told.SECRETS).write_text(json.dumps(secrets | {"SHORT": "litellm"}))
    (folder.parent / "gatewaycurrent").symlink_to(folder)
    return folder


def test_nothing_is_found_in_nothing(state: Path, tmp_path: Path) -> None:
    (state / PLACES[0]).write_text("litellm started for 3 people, message-id a@b, ask-nobody")
    assert told.leaks(tmp_path) == []
    assert told.leaks(tmp_path / "nowhere") == []


@pytest.mark.parametrize("place", [*PLACES, TEMPLATE])
@pytest.mark.parametrize(
    ("word", "what"),
    [
        *((word, what) for word, what in told.PLANTED.items()),
        (MASTER, "LITELLM_MASTER_KEY"),
        (PRIVATE, "VERTEX_CREDENTIALS"),
        ("sk-somebodys-own-key-0123", "something that looks like a key"),
        ("xoxb-0123456789-a", "something that looks like a key"),
    ],
)
def test_what_was_planted_is_found(state: Path, tmp_path: Path, place: str, word: str, what: str) -> None:
    (state / place).write_text(f'{{"message": "failed for {word}: again"}}')
    assert f"{what} is in {state / place}" in told.leaks(tmp_path)


@pytest.mark.parametrize("place", PLACES[:2])
def test_an_address_in_a_log_is_found(state: Path, tmp_path: Path, place: str) -> None:
    (state / place).write_text('{"user_id": "ana-12@example.com"}')
    assert told.leaks(tmp_path) == [f"the address ana-12@example.com is in {state / place}"]


def test_what_a_gateway_told_is_noted(tmp_path: Path) -> None:
    """Its secrets are in a file of its own that only this user reads."""

    class Aws:
        def get_paginator(self, name: str) -> Any:  # noqa: ANN401 - boto3's
            page = {
                "get_parameters_by_path": {
                    "Parameters": [
                        {"Name": "/litellm/local/KEY", "Type": "SecureString", "Value": MASTER},
                        {"Name": "/litellm/local/plain", "Type": "String", "Value": f"a plain {MASTER}"},
                    ]
                },
                "describe_stacks": {"Stacks": [{"StackName": "one", "Outputs": [{"OutputValue": "shown"}]}]},
                "list_functions": {"Functions": [{"Environment": {"Variables": {"A": "variable"}}}]},
            }[name]
            return SimpleNamespace(paginate=lambda **_: [page])

        def describe_stack_events(self, **_: str) -> Any:  # noqa: ANN401 - boto3's
            return {"StackEvents": [{"ResourceStatusReason": "event"}]}

    outside = SimpleNamespace(datadog=lambda: [{"message": COMPLETION_PHRASE}], slack=lambda: [{"text": "posted"}])
    state = tmp_path / "gateway0"
    state.mkdir()
    gateway = SimpleNamespace(
        state=state,
        outside=outside,
        environment=SimpleNamespace(parameter_prefix="/litellm/local"),
        client=lambda _: Aws(),
    )
    told.write(cast(Any, gateway))
    noted = (state / told.TOLD).read_text()
    for word in ("posted", "a plain", "shown", "event", "variable"):
        assert word in noted
    assert stat.S_IMODE((state / told.SECRETS).stat().st_mode) == 0o600
    assert f"an answer is in {state / told.TOLD}" in told.leaks(tmp_path)
    assert f"/litellm/local/KEY is in {state / told.TOLD}" in told.leaks(tmp_path)
