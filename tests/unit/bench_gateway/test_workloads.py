"""ops/bench_gateway: what is started, with which variables, and what is sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from ops.bench_gateway import configurations, load, people, prompts, workloads
from ops.bench_gateway.configurations import ConfigurationError
from ops.bench_gateway.load import Answer, Generator, Lane, LoadError, Request, Target
from ops.bench_gateway.scale import FULL
from stacks import CHECKOUT
from stacks.company import Company
from stacks.company import load as load_company

COMPANIES = sorted(file.parent for file in (CHECKOUT / "tests" / "companies").glob("*/environments.py"))


@pytest.fixture(params=COMPANIES, ids=lambda folder: folder.name)
def company(request: pytest.FixtureRequest) -> Company:
    return load_company(request.param)


def template(command: list[str], **variables: object) -> dict[str, Any]:
    container = {"Command": command, "Environment": [{"Name": name, "Value": what} for name, what in variables.items()]}
    return {
        "Resources": {
            "Migration": {
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": {"ContainerDefinitions": [{"Command": ["other"], "Environment": []}]},
            },
            "Role": {"Type": "AWS::IAM::Role", "Properties": {}},
            "Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": {"ContainerDefinitions": [container]}},
        }
    }


# --- What is started --------------------------------------------------------------------------------------------------

SERVE = ["litellm", "--config", "config.yaml"]


def test_ours_has_the_variables_of_the_services_task() -> None:
    found = template(SERVE, NUM_WORKERS="1", PROXY_BATCH_WRITE_AT="60", DATABASE_HOST={"Fn::ImportValue": "x"})
    ours = configurations.ours(found, {"LITELLM_MASTER_KEY": "sk-1"}, {"DATABASE_HOST": "127.0.0.1"})
    assert ours.variables == {"NUM_WORKERS": "1", "PROXY_BATCH_WRITE_AT": "60", "LITELLM_MASTER_KEY": "sk-1"}
    assert ours.command == ("./entrypoint.sh", *SERVE)
    assert ours.config is None


def test_a_variable_that_only_cloudformation_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"REDIS_HOST.*local/gateway\.py"):
        configurations.task_of(template(SERVE, REDIS_HOST={"Fn::ImportValue": "x"}), {})


def test_another_command_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="litellm --config"):
        configurations.task_of(template(["gunicorn"]), {})


def test_the_compared_settings_have_the_companys_models_and_nothing_else_of_its_file(company: Company) -> None:
    own = {"LITELLM_MASTER_KEY": "sk-1"}
    names = {model.name for model in company.local.litellm_config(company.config).models}
    for made in (configurations.article(company, own), configurations.default(company, own)):
        config = json.loads(made.config or "")
        assert {entry["model_name"] for entry in config["model_list"]} == names
        assert config["general_settings"] == {"master_key": "os.environ/LITELLM_MASTER_KEY"}
        assert config.keys() <= {"model_list", "router_settings", "general_settings", "litellm_settings"}
        assert config.get("router_settings", {"fallbacks": []}).keys() == {"fallbacks"}
    article = json.loads(configurations.article(company, own).config or "")
    assert article["litellm_settings"] == {"callbacks": ["datadog"], "turn_off_message_logging": True}
    assert configurations.article(company, own).command[-2:] == ("--num_workers", "4")


# --- Who asks ---------------------------------------------------------------------------------------------------------


def test_a_copy_of_a_person_differs_in_each_column_that_is_unique() -> None:
    statements = people.copies("sk-prefix", 500).split(";\n")
    assert len(statements) == len(people.COPIES) + 1
    for statement in statements[:-1]:
        assert "generate_series(1, 499)" in statement
        assert people.FIRST in statement
    (tokens,) = (statement for statement in statements if "VerificationToken" in statement)
    assert "'token', encode(sha256(convert_to('sk-prefix-' || n, 'UTF8')), 'hex')" in tokens


# --- What is sent -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", prompts.ROUTES)
@pytest.mark.parametrize("size", FULL.agents)
def test_an_agents_prompt_has_its_size_and_a_new_end(route: str, size: int) -> None:
    body = prompts.agent(route, "model", 1000 * size)
    assert body["stream"] is True
    assert len(json.dumps(body)) == pytest.approx(1000 * size, rel=0.12)
    messages = body.get("messages") or body["input"]
    assert messages[-1]["role"] == "user"
    assert [prompts.NUMBER in message["content"] for message in messages] == [*[False] * (len(messages) - 1), True]
    assert body == prompts.agent(route, "model", 1000 * size)


def test_each_company_has_a_model_for_each_route(company: Company) -> None:
    config = company.local.litellm_config(company.config)
    chosen = workloads.models_of(company)
    known = {model.name for model in config.models if "embed" not in model.id}
    assert set(chosen.by_route) == set(prompts.ROUTES)
    assert set(chosen.by_route.values()) <= known
    if chosen.falls_back:
        (other, *_) = configurations.fallbacks(company)[chosen.falls_back]
        mine, theirs = (set(workloads.hosts(company, name)) for name in (chosen.falls_back, other))
        assert mine
        assert mine.isdisjoint(theirs)


def test_some_companies_have_a_fallback_elsewhere_and_some_have_none() -> None:
    assert {bool(workloads.models_of(load_company(folder)).falls_back) for folder in COMPANIES} == {True, False}


def test_requests_come_at_random_at_their_rate() -> None:
    due = workloads.times(rate=20, seconds=500, seed=1)
    assert due == sorted(due) == workloads.times(rate=20, seconds=500, seed=1)
    assert 0 <= due[0] < due[-1] < 500
    assert len(due) == pytest.approx(20 * 500, rel=0.05)
    gaps = [later - earlier for earlier, later in pairwise(due)]
    assert mean(gap < 1 / 20 for gap in gaps) == pytest.approx(0.632, abs=0.02)  # 1 - 1/e, of a Poisson process


# --- What came back ---------------------------------------------------------------------------------------------------


def answer(**changes: object) -> Answer:
    noted: dict[str, Any] = {
        "lane": "small",
        "at": None,
        "sent": 1.5,
        "end": 3.0,
        "status": 200,
        "text": "",
        "events": [2.0, 2.25],
    }
    return load.answer_of(noted | changes)


def test_an_answers_times_count_from_when_it_was_due() -> None:
    late = answer(at=1.0)
    assert (late.seconds, late.first, late.gaps) == (2.0, 1.0, [0.25])
    at_once = answer()
    assert (at_once.seconds, at_once.first) == (1.5, 0.5)
    assert answer(events=[]).first == 1.5


@pytest.mark.parametrize(
    "changes", [{"status": 503, "text": "no"}, {"status": 0, "text": "refused"}, {"text": 'data: {"error": {}}'}]
)
def test_an_answer_that_is_not_whole_is_left_out_and_many_end_the_run(changes: dict[str, Any]) -> None:
    whole, failed = [answer()] * 19, answer(**changes)
    assert load.good([*whole, failed], "ours") == whole
    with pytest.raises(LoadError, match=r"^ours: 2 of 21 requests failed, the first with "):
        load.good([*whole, failed, failed], "ours")


PROGRAM = """
import json, pathlib, sys
for line in sys.stdin:
    plan = json.loads(pathlib.Path(line.strip()).read_text())
    asked = [(name, each) for name, lane in plan["lanes"].items() for each in lane["requests"]][{part}]
    answers = [dict(lane=name, at=each.get("at"), sent=each["number"], end=9, status=200, text="", events=[])
               for name, each in asked]
    pathlib.Path("answers.json").write_text(json.dumps(answers))
    print(pathlib.Path("answers.json").absolute(), flush=True)
"""


@pytest.fixture
def generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Generator]:
    """A program that answers as the load generator does, without Locust; it leaves out what is asked of it."""

    def make(part: str) -> Generator:
        program = tmp_path / "program.py"
        program.write_text(PROGRAM.replace("{part}", part))
        monkeypatch.setattr(load, "PYTHON", Path(sys.executable))
        monkeypatch.setattr(load, "PROGRAM", program)
        return Generator(tmp_path / "load")

    return make


def lanes(*due: float | None) -> dict[str, Lane]:
    return {"only": Lane([Request("/v1/messages", Path("body.json"), {}, at) for at in due], callers=2)}


def test_every_request_has_a_number_of_its_own(generator: Callable[[str], Generator]) -> None:
    with generator("0:") as running:
        first, second = (running.send(Target("http://127.0.0.1:1"), lanes(None, 0.5)) for _ in range(2))
    assert [each.sent for each in (*first, *second)] == [1, 2, 3, 4]
    assert [each.due for each in first] == [1, 0.5]


def test_a_request_without_an_answer_is_told(generator: Callable[[str], Generator]) -> None:
    with generator("1:") as running, pytest.raises(LoadError, match="1 of 2 requests were not answered"):
        running.send(Target("http://127.0.0.1:1"), lanes(None, None))


def test_a_generator_that_has_ended_is_told(generator: Callable[[str], Generator]) -> None:
    with generator("nonsense") as running, pytest.raises(LoadError, match=r"has ended; its log is .*locust\.log"):
        running.send(Target("http://127.0.0.1:1"), lanes(None))
