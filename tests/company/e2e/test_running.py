"""The company's gateway on this machine, as `make up` runs it: each model answers, and what it costs is counted.

Everything asked of the models is asked once (`asked`), and each test looks at one side of it. What a call costs is what
the simulated provider bills for it: its own count of tokens, at the prices of LiteLLM's list or of config.yaml.
"""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.__main__ import summary
from local.gateway import LocalGateway, mail_domain
from local.outside.completion import COMPLETION_PHRASE
from local.outside.records import Call
from local.trial import KINDS, modes
from stacks import CHECKOUT
from stacks.company import Company
from tests.e2e.conftest import eventually

Figures = tuple[int, int, int, Any]
"""Requests, tokens of prompts and of completions, and US dollars."""


@dataclass
class Asked:
    """What came of asking: the bill of each model, what went wrong, and the models that nobody here can ask."""

    user: str
    billed: dict[str, Figures] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    places: set[tuple[str, str]] = field(default_factory=set)  # name and host of each deployment that answered
    not_simulated: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def gateway(own: Company, gateway_of: Callable[[Company], LocalGateway]) -> LocalGateway:
    """The company's gateway, running."""
    return gateway_of(own)


@pytest.fixture(scope="module")
def asked(gateway: LocalGateway) -> Asked:
    """Each model is asked, plain and streamed, and then each of its deployments by itself."""
    found = Asked(f"asks@{mail_domain(gateway.environment)}")
    key = gateway.user_key(found.user)
    by_mode = modes(gateway)
    found.not_simulated = {name: mode for name, mode in by_mode.items() if mode not in KINDS}
    for name in by_mode.keys() - found.not_simulated.keys():
        calls = [
            call
            for streamed in ((False,) if by_mode[name] == "embedding" else (False, True))
            for call in _ask(gateway, found, key, name, by_mode[name], streamed=streamed)
        ]
        found.billed[name] = _bill(gateway, calls)
    other = gateway.user_key(f"each-deployment@{mail_domain(gateway.environment)}")
    for deployment in gateway.api("GET", "/v1/model/info").json()["data"]:
        name, id_ = deployment["model_name"], deployment["model_info"]["id"]
        if name in found.billed:
            found.places |= {(name, call.host) for call in _ask(gateway, found, other, id_, by_mode[name])}
    return found


def _ask(gateway: LocalGateway, found: Asked, key: str, model: str, mode: str, *, streamed: bool = False) -> list[Call]:
    """Ask once, note what is wrong with the answer, and return the calls of models that came of it."""
    gateway.outside.clear("calls")
    kind = KINDS[mode]
    body = {"model": model, **kind.body, **({"stream": True} if streamed else {})}
    answer = gateway.api("POST", kind.path, key=key, json=body)
    text = answer.text
    if streamed:  # in whatever pieces
        deltas = [json.loads(line) for line in re.findall(r"^data: (\{.*)$", text, re.MULTILINE)]
        text = "".join(_delta(delta) for delta in deltas)
    wanted = '"embedding":' if mode == "embedding" else COMPLETION_PHRASE
    if answer.status_code != 200 or wanted not in text:
        how = "streamed" if streamed else "plain"
        found.problems.append(
            f"{model} ({mode or 'of no known mode'}, {how}): {answer.status_code} {answer.text[:500]}"
        )
    return [call for call in gateway.outside.calls() if call.model]


def _name(asked: Asked, printed: str) -> str:
    """The name in config.yaml of what is printed, which has the aliases of a model too."""
    return next((name for name in printed.split(", ") if name in asked.billed), printed)


def _delta(event: Mapping[str, Any]) -> str:
    """The text of a stream's event, in the format of chats or of responses."""
    if event.get("choices"):
        return str(event["choices"][0]["delta"].get("content") or "")
    return str(event["delta"]) if event.get("type") == "response.output_text.delta" else ""


def _bill(gateway: LocalGateway, calls: list[Call]) -> Figures:
    return (
        len(calls),
        sum(call.usage.input_tokens for call in calls),
        sum(call.usage.output_tokens for call in calls),
        pytest.approx(sum(gateway.outside.bills.cost(call) or 0.0 for call in calls)),
    )


def _run(gateway: LocalGateway, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """An operators' command, as `make` runs it for ENV=local."""
    return subprocess.run(
        [sys.executable, "-m", f"ops.{module}", "--env", "local", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **gateway.access, "LITELLM_URL": gateway.url, "COMPANY": gateway.company.name},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_model_answers(asked: Asked) -> None:
    """Plain and streamed, and each of its deployments by itself."""
    assert asked.problems == []


def test_every_deployment_is_called_where_config_yaml_says(gateway: LocalGateway, asked: Asked) -> None:
    variables = gateway.environment.plain_variables
    expected = {
        (model.name, address.host)
        for model in gateway.config.models
        if model.name in asked.billed
        for address in model.called_at(variables)
    }
    assert asked.places == expected


def test_what_it_costs_is_counted_to_the_token(gateway: LocalGateway, asked: Asked) -> None:
    """LiteLLM's own record of the user is what the providers bill."""
    today = datetime.now(UTC).date()
    days = {"start_date": str(today - timedelta(days=1)), "end_date": str(today + timedelta(days=1))}

    def recorded() -> dict[str, Figures]:
        params = {**days, "user_id": asked.user, "page_size": 1000}
        found: dict[str, Figures] = {}
        for day in gateway.api("GET", "/user/daily/activity", params=params).json()["results"]:
            for model, group in day["breakdown"]["model_groups"].items():
                before, figures = found.get(model, (0, 0, 0, 0.0)), group["metrics"]
                names = ("api_requests", "prompt_tokens", "completion_tokens", "spend")
                found[model] = tuple(a + figures[name] for a, name in zip(before, names, strict=True))
        return found

    requests = sum(count for count, *_ in asked.billed.values())
    eventually(lambda: sum(count for count, *_ in recorded().values()) >= requests)
    assert recorded() == asked.billed


def test_every_model_can_be_asked_here(asked: Asked) -> None:
    """A model of another kind than text and vectors is skipped by name: the simulated providers have no such answer."""
    if asked.not_simulated:
        pytest.skip(", ".join(f"{name} ({mode})" for name, mode in asked.not_simulated.items()) + ": not simulated")


def test_the_command_that_is_printed_works(gateway: LocalGateway) -> None:
    """The curl line, as somebody copies it into a shell."""
    printed = summary(gateway)
    command = re.search(r"^  curl .*?[^\\]$", printed, re.MULTILINE | re.DOTALL)
    if command is None:
        assert not set(modes(gateway).values()) & KINDS.keys()
        return
    run = subprocess.run(["/bin/sh", "-c", command[0]], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert {"choices", "output", "data"} & json.loads(run.stdout).keys(), run.stdout


def test_the_page_has_what_the_company_has(gateway: LocalGateway) -> None:
    """Only the parts that the environment has to do with, and nobody of another company."""
    settings = gateway.environment
    page = gateway._http.get(gateway.outside.control_url).text
    for there, words in (
        (settings.onboarding, "Ask for an account as"),
        (settings.onboarding or settings.report, 'id="people"'),
        (settings.datadog, "/dashboard"),
    ):
        assert (words in page) == bool(there), words
    if settings.onboarding:
        for domain in settings.onboarding.mail_domains[:1]:
            assert f"yuki.sato@{domain}" in page


def test_the_smoke_test_passes(gateway: LocalGateway) -> None:
    run = _run(gateway, "smoke")
    assert run.returncode == 0, run.stdout + run.stderr


def test_usage_is_printed(gateway: LocalGateway, asked: Asked) -> None:
    """The user and each model, with the providers' figures; a sentence where nobody has asked for reports."""
    yesterday = str(datetime.now(UTC).date() - timedelta(days=1))

    def rows() -> dict[str, Figures]:
        run = _run(gateway, "usage", "--format", "csv", "--from", yesterday)
        assert run.returncode == 0, run.stderr
        return {
            _name(asked, row["model"]): (
                int(row["requests"]),
                int(row["prompt_tokens"]),
                int(row["completion_tokens"]),
                float(row["cost"]),
            )
            for row in csv.DictReader(io.StringIO(run.stdout))
            if row["user"] == asked.user
        }

    if not (gateway.environment.report or gateway.environment.bill):
        run = _run(gateway, "usage")
        assert run.returncode == 2
        assert "the environment has report or bill in company/environments.py" in run.stderr
        return
    requests = sum(count for count, *_ in asked.billed.values())
    eventually(lambda: sum(count for count, *_ in rows().values()) >= requests)
    assert rows() == asked.billed


def test_an_account_is_made_for_who_asks_in_slack(gateway: LocalGateway) -> None:
    """With an invitation by mail."""
    settings = gateway.environment.onboarding
    if not settings:
        pytest.skip("no onboarding in the settings")
    slack = gateway.outside.slack_workspace
    id_ = slack.run_step("japanese", settings.teams[0], "To try it")
    slack.wait_for(lambda: slack.execution(id_).status != "running", timeout=600)  # as often as it is tried again
    step = slack.execution(id_)
    assert (step.status, step.error) == ("completed", "")
    address = str(slack.person("japanese").email)
    assert eventually(lambda: any(address in mail.recipients for mail in gateway.outside.mailbox.mails()))
    # Other tests' gateway too, to which this person is to be new.
    gateway.api("POST", "/user/delete", json={"user_ids": [address]}).raise_for_status()


def test_nothing_else_was_called(gateway: LocalGateway, asked: Asked) -> None:
    """LiteLLM called the providers, Datadog and Slack, and no other host but that where a licence is looked up."""
    assert asked.billed
    licences = {"license.litellm.ai"} if gateway.environment.litellm_license else set[str]()
    assert {refusal.host for refusal in gateway.outside.refused()} <= licences
