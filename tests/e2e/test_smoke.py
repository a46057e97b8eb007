"""The smoke test of a deployed gateway: `make smoke`, as operators and releases run it."""

import os
import subprocess
import sys
from collections import Counter

import pytest

from local.gateway import LocalGateway
from local.outside.records import Fault
from local.outside.world import OutsideWorld
from stacks import CHECKOUT
from tests.e2e.test_completions import model_calls

# The cheapest chat model of each provider in config.yaml, and the hosts that it is asked at.
ASKED = {"azure": "gpt-6-luna", "bedrock": "claude-haiku-5-5", "vertex_ai": "gemini-3.8-flash"}
HOSTS = {"azure": "*.openai.azure.com", "bedrock": "bedrock-runtime.*", "vertex_ai": "*aiplatform.googleapis.com"}
CHECKS = [
    "awake",
    "health",
    "sign-in page",
    "models",
    *(f"completion by {provider}" for provider in ASKED),
    "version",
    "spend",
]


def smoke(gateway: LocalGateway, environment: str = "local") -> subprocess.CompletedProcess[str]:
    """The command, which may take minutes where something is tried again."""
    run = subprocess.run(
        [sys.executable, "-m", "ops.smoke", "--env", environment],
        cwd=CHECKOUT,
        env={**os.environ, **gateway.access},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in run.stdout + run.stderr
    for secret in ("SMOKE_KEY", "LITELLM_MASTER_KEY"):
        assert gateway.secret(secret) not in run.stdout + run.stderr
    return run


def verdicts(run: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What was said of each check, passed or FAILED and a sentence, without the seconds."""
    lines = run.stdout.splitlines()[1:-1]
    return {
        name: f"{line.split(maxsplit=1)[0]} {line.partition(name)[2].strip().rpartition(' (')[0]}"
        for line in lines
        for name in CHECKS
        if f" {name}  " in line
    }


def test_a_healthy_gateway_passes(gateway: LocalGateway, outside: OutsideWorld) -> None:
    """Each provider is asked once, and what that cost is what is told, and is seen in the user's spend."""
    run = smoke(gateway)
    assert (run.returncode, run.stderr) == (0, "")
    first, *_, last = run.stdout.splitlines()
    assert first.startswith(f"local: {gateway.url}, LiteLLM 1.")
    found = verdicts(run)
    assert list(found) == CHECKS
    assert all(verdict.startswith("passed ") for verdict in found.values()), found
    assert found["models"].endswith(", ".join(f"{model} ({provider})" for provider, model in ASKED.items()))
    calls = Counter(call.provider for call in model_calls(outside))
    assert (len(calls), set(calls.values())) == (len(ASKED), {1})
    cost = float(last.removeprefix("The smoke test passed, for ").removesuffix(" USD."))
    user = gateway.api("GET", "/user/info", params={"user_id": "smoke-test"}).json()["user_info"]
    assert 0 < cost <= user["spend"] + 1e-6
    assert user["max_budget"] == 0.05


@pytest.mark.parametrize("provider", ASKED)
def test_a_provider_that_refuses_is_named(gateway: LocalGateway, outside: OutsideWorld, provider: str) -> None:
    """Though LiteLLM would answer people by a fallback: of the three, that one only."""
    outside.set_fault(HOSTS[provider], Fault(status=403))
    run = smoke(gateway)
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.splitlines()[-1] == f"The smoke test failed: completion by {provider}."
    found = verdicts(run)
    assert found[f"completion by {provider}"].startswith(
        f"FAILED a completion by {ASKED[provider]} was answered with status 403 (permission_error): look at"
    )
    assert list(found) == CHECKS[:-1]  # there is nothing to wait for


def test_a_provider_that_is_down_is_asked_three_times(gateway: LocalGateway, outside: OutsideWorld) -> None:
    outside.set_fault(HOSTS["azure"], Fault(status=500))
    run = smoke(gateway)
    assert run.returncode == 1
    assert "(internal_server_error, 3 times)" in verdicts(run)["completion by azure"]


def test_a_provider_that_is_busy_for_a_moment_is_well(gateway: LocalGateway, outside: OutsideWorld) -> None:
    outside.set_fault(HOSTS["vertex_ai"], Fault(status=503, count=1))
    run = smoke(gateway)
    assert run.returncode == 0, run.stdout


def test_the_key_is_for_the_test_only(gateway: LocalGateway) -> None:
    key = gateway.secret("SMOKE_KEY")
    for method, path in (("GET", "/v1/model/info"), ("GET", "/v2/user/info")):
        assert gateway.api(method, path, key=key).status_code == 200
    for method, path in (
        ("GET", "/key/list"),
        ("POST", "/key/generate"),
        ("POST", "/v1/messages"),
        ("GET", "/models"),
    ):
        assert gateway.api(method, path, key=key, json={}).status_code == 403


def test_it_refuses_another_account(gateway: LocalGateway) -> None:
    run = smoke(gateway, "dev")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("smoke: these AWS credentials are of account 000000000000, but dev is in 111111111111")
