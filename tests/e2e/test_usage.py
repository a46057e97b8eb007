"""Who used which model, how many tokens, at what cost, without Datadog: `make usage`, as operators run it."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.gateway import LocalGateway
from local.outside.records import Usage
from local.outside.world import OutsideWorld
from stacks import CHECKOUT
from tests.e2e.conftest import eventually, sdk
from tests.e2e.test_completions import AZURE, BEDROCK, VERTEX, ask, ask_streamed, model_calls, prices_of

PRICED_AS = {
    BEDROCK: "us.anthropic.claude-sonnet-5-5",
    AZURE: "azure/gpt-6.1-sol",
    VERTEX: "vertex_ai/gemini-4-argon",
}
TOKENS = (*("requests", "prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "total_tokens"),)


def usage(gateway: LocalGateway, *arguments: str, url: str = "") -> subprocess.CompletedProcess[str]:
    """The command for today and yesterday, should midnight have passed."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    return subprocess.run(
        [
            *(sys.executable, "-m", "ops.usage", "--env", "local", "--url", url or gateway.url),
            *("--from", str(yesterday), *arguments),
        ],
        cwd=CHECKOUT,
        env={**os.environ, **gateway.emulator.environment()},
        capture_output=True,
        text=True,
        check=False,
    )


def rows(gateway: LocalGateway, *users: str) -> list[dict[str, str]]:
    """The lines of CSV that are about these users."""
    run = usage(gateway, "--format", "csv")
    assert run.returncode == 0, run.stderr
    return [row for row in csv.DictReader(io.StringIO(run.stdout)) if row["user"] in users]


def refused(run: subprocess.CompletedProcess[str]) -> str:
    """What it says last, with nothing printed on standard output."""
    assert (run.returncode, run.stdout) == (2, "")
    assert "Traceback" not in run.stderr
    return run.stderr.splitlines()[-1]


@contextmanager
def key_parameter(gateway: LocalGateway, value: str | None) -> Iterator[None]:
    """The parameter of the key with another value, or without one."""
    ssm, name, key = gateway.client("ssm"), gateway.environment.parameter("USAGE_KEY"), gateway.secret("USAGE_KEY")
    if value is None:
        ssm.delete_parameter(Name=name)
    else:
        ssm.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
    try:
        yield
    finally:
        ssm.put_parameter(Name=name, Value=key, Type="SecureString", Overwrite=True)


def ask_as_an_agent(gateway: LocalGateway, key: str, model: str, rules: str) -> None:
    """A streamed request in Anthropic's format, whose rules are to be cached: as Claude Code sends them."""
    system = [{"type": "text", "text": f"{rules}. " * 200, "cache_control": {"type": "ephemeral"}}]
    body = {"model": model, "max_tokens": 100, "stream": True, "system": system}
    body["messages"] = [{"role": "user", "content": "Go on"}]
    assert gateway.api("POST", "/v1/messages", key=key, json=body).is_success


def figures(calls: list[Usage], price: Mapping[str, float]) -> dict[str, Any]:
    """What is to be printed of calls: the providers' counts, at their prices."""
    prompt, completion = sum(call.input_tokens for call in calls), sum(call.output_tokens for call in calls)
    cached, written = sum(call.cached_tokens for call in calls), sum(call.cache_write_tokens for call in calls)
    discount = price["input_cost_per_token"] - price["cache_read_input_token_cost"]
    surcharge = price.get("cache_creation_input_token_cost", 0.0) - price["input_cost_per_token"]
    saved = cached * discount - written * surcharge
    full = prompt * price["input_cost_per_token"] + completion * price["output_cost_per_token"]
    return {
        "requests": len(calls),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "total_tokens": prompt + completion,
        "cost": pytest.approx(full - saved),
        "saved": pytest.approx(saved, abs=1e-9),
    }


def test_it_prints_what_the_providers_counted(gateway: LocalGateway, outside: OutsideWorld) -> None:
    """To the token, and at their prices, for each user and model; in three formats, which agree."""
    stamp = time.monotonic_ns()
    expected: dict[tuple[str, str], dict[str, Any]] = {}
    for number, user in enumerate((f"usage-ana-{stamp}@example.com", f"usage-ben-{stamp}@example.com")):
        key = gateway.user_key(user)
        client = sdk(gateway, key)
        for model, priced_as in PRICED_AS.items():
            outside.clear("calls")
            for question in range(2 + number):
                ask(client, model, f"Question {question} of {number} " * (5 + question))
            ask_streamed(client, model, "And a streamed one " * (10 + number))
            if model == BEDROCK:
                for _ in range(4):  # in three regions at most: one of them is asked twice
                    ask_as_an_agent(gateway, key, model, f"The rules of {user}")
            calls = [call.usage for call in model_calls(outside)]
            assert sum(call.cached_tokens for call in calls) > 0 or model != BEDROCK
            expected[user, model] = figures(calls, prices_of(priced_as, time.time()))
    users = sorted({user for user, _ in expected})
    requests = sum(figures["requests"] for figures in expected.values())
    eventually(lambda: sum(int(row["requests"]) for row in rows(gateway, *users)) >= requests)
    printed = rows(gateway, *users)
    assert {
        (row["user"], row["model"]): {name: int(row[name]) for name in TOKENS}
        | {name: float(row[name]) for name in ("cost", "saved")}
        for row in printed
    } == expected

    of_json = json.loads(usage(gateway, "--format", "json").stdout)
    assert [
        (user["user"], model["model"], *(model[name] for name in TOKENS), f"{model['cost']:.10f}")
        for user in of_json["users"]
        if user["user"] in users
        for model in user["models"]
    ] == [(row["user"], row["model"], *(int(row[name]) for name in TOKENS), row["cost"]) for row in printed]
    table = [line.split() for line in usage(gateway).stdout.splitlines()]
    assert [
        (user, model, *(int(cell) for cell in (*cells[:5], cells[6])))
        for user, model, *cells in (
            [cell.replace(",", "") for cell in line] for line in table if line[0] in users and line[1] != "total"
        )
    ] == [(row["user"], row["model"], *(int(row[name]) for name in TOKENS)) for row in printed]

    def totals() -> set[str]:
        """Of everybody's requests: some of an earlier test may be written between the two."""
        total = json.loads(usage(gateway, "--format", "json").stdout)["total"]
        return {f"{total['requests']:,}", usage(gateway).stdout.splitlines()[-1].split()[1]}

    assert eventually(lambda: len(totals()) == 1)


def test_the_key_is_for_figures_only(gateway: LocalGateway) -> None:
    key = gateway.secret("USAGE_KEY")
    today = str(datetime.now(UTC).date())
    days = {"start_date": today, "end_date": today}
    for who in ("user", "team", "tag"):
        assert gateway.api("GET", f"/{who}/daily/activity/export", key=key, params=days).status_code == 200
    assert gateway.api("GET", "/model/info", key=key).status_code == 200
    for method, path in (("GET", "/user/list"), ("POST", "/key/generate"), ("POST", "/v1/chat/completions")):
        assert gateway.api(method, path, key=key, json={}).status_code == 403
    owner = gateway.api("GET", "/user/info", params={"user_id": "usage-service"}).json()["user_info"]
    assert owner["user_role"] == "proxy_admin_viewer"


def test_with_another_key(gateway: LocalGateway) -> None:
    with key_parameter(gateway, "sk-of-nobody-in-particular"):
        sentence = refused(usage(gateway))
    assert sentence.startswith("usage: LiteLLM does not know the key for /model/info (401): raise LABEL in stacks/")


def test_without_the_key(gateway: LocalGateway) -> None:
    with key_parameter(gateway, None):
        sentence = refused(usage(gateway))
    assert sentence.startswith("usage: there is no parameter /litellm/local/USAGE_KEY: the deployment makes it, where ")


def test_without_the_gateway(gateway: LocalGateway) -> None:
    with socket.socket() as nobody:  # a port that is taken, so that nothing else comes to listen on it
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        sentence = refused(usage(gateway, url=url))
    assert sentence.startswith(f"usage: LiteLLM did not answer at {url} (NewConnectionError): look at the network and ")
