"""The figures hold against the bill: real requests, LiteLLM's daily figures, and what each provider charged."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from itertools import count
from typing import Any

import openai
import pytest

from local.gateway import LocalGateway
from local.outside.records import Fault
from local.outside.world import OutsideWorld
from tests.e2e.conftest import eventually, today
from tests.e2e.test_completions import AZURE, BEDROCK, REGIONS, VERTEX, ask, ask_streamed, model_calls

OPUS, USER, TAG = "claude-opus-5-5", "bill@example.com", "calls-of-the-bill"
TOOLS = "tools"  # and pass-through endpoints, which other tests of this gateway may have called
PROVIDERS = ("bedrock", "azure", "vertex_ai", "gemini", "openai", "anthropic")
# Models that somebody adds in the admin UI: the example's config.yaml has none of these. Of one nobody shows a bill.
ADDED = {
    "gpt-of-openai": "openai/gpt-5.5",
    "claude-of-anthropic": "anthropic/claude-opus-5-5",
    "gemini-of-ai-studio": "gemini/gemini-3.8-flash",
    "mistral": "mistral/mistral-large-latest",
}
LONG = "A prefix that is worth a cache. " * 800  # 6400 tokens: Gemini 4 caches from 6,144 on
# 18 of these prompts of 180,000 tokens cost 14 $: 8 % of it are more than the dollar below which all is noise.
HUGE, TIMES = "word " * 144_000, 18
TOLERANCE = 3.0
MINUTES = count()

Json = dict[str, Any]


@pytest.fixture(scope="module")
def day() -> date:
    return today(lambda day: day.month)


@pytest.fixture(autouse=True)
def honest_bills(outside: OutsideWorld) -> Iterator[None]:
    """The bills, with nothing wrong before and after a test."""
    outside.bills.mend()
    yield
    outside.bills.mend()


class Bill:
    """The deployed function, started as the schedule starts it, with a time in the month after this one."""

    def __init__(self, gateway: LocalGateway, day: date) -> None:
        self.gateway = gateway
        resources = gateway.client("cloudformation").describe_stack_resources(StackName="litellm-local-usage")
        (self.name,) = (
            resource["PhysicalResourceId"]
            for resource in resources["StackResources"]
            if resource["ResourceType"] == "AWS::Lambda::Function" and resource["LogicalResourceId"].startswith("Bill")
        )
        self.next_month = (day.replace(day=1) + timedelta(days=32)).replace(day=5)

    def __call__(self) -> tuple[Json, str, dict[str, float], str]:
        """Start it once; return its answer, the message, the metric by provider, and the table in the thread."""
        slack, report = self.gateway.outside.slack_workspace, self.gateway.environment.report
        assert report
        log = self.gateway.state / "aws/logs" / f"{self.name}.log"
        seen = len(log.read_bytes()) if log.exists() else 0
        messages, files = len(slack.messages(report.channel)), len(slack.files(report.channel))
        event = {"time": f"{self.next_month}T03:{next(MINUTES):02}:00Z"}
        answer = self.gateway.client("lambda").invoke(FunctionName=self.name, Payload=json.dumps(event))
        message = slack.messages(report.channel)[messages:][0]
        (file,) = slack.files(report.channel)[files:]
        assert file.content
        written = log.read_bytes()[seen:].decode(errors="replace")  # its last character may be there in part
        records = [json.loads(text) for text in written.splitlines() if text.startswith('{"_aws"')]
        metric = {record["Provider"]: record["BillDifferencePercent"][0] for record in records}
        return json.loads(answer["Payload"].read()), json.dumps(message.blocks), metric, file.content.decode()


@pytest.fixture(scope="module")
def bill(gateway: LocalGateway, day: date) -> Bill:
    return Bill(gateway, day)


@pytest.fixture(scope="module")
def added(gateway: LocalGateway) -> Iterator[None]:
    """The models of providers whose bill is an organization's, and of one that shows none."""
    credentials, ids = gateway.outside.credentials, []
    keys = {
        "openai": credentials.openai_api_key,
        "anthropic": credentials.anthropic_api_key,
        "gemini": credentials.gemini_api_key,
    }
    for name, model in ADDED.items():
        parameters = {"model": model, "api_key": keys.get(model.partition("/")[0], credentials.mistral_api_key)}
        answer = gateway.api("POST", "/model/new", json={"model_name": name, "litellm_params": parameters})
        assert answer.is_success, answer.text
        ids.append(answer.json()["model_info"]["id"])
    yield
    for one in ids:
        assert gateway.api("POST", "/model/delete", json={"id": one}).is_success


@pytest.fixture(scope="module")
def used(gateway: LocalGateway, day: date, added: None) -> None:
    """Every provider whose bill is compared, every region of Bedrock, caches written and read, streams, embeddings."""
    client = openai.OpenAI(
        base_url=f"{gateway.url}/v1",
        api_key=gateway.user_key(USER),
        max_retries=0,
        timeout=120,
        default_headers={"x-litellm-tags": TAG},
    )
    outside = gateway.outside
    outside.clear("calls")
    cached: Any = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    for number in range(30):
        content: Any = [*cached, {"type": "text", "text": f"Question {number}"}]
        client.chat.completions.create(model=BEDROCK, messages=[{"role": "user", "content": content}])
    for number in range(3):
        content = [*cached, {"type": "text", "text": f"Question {number}"}]
        client.chat.completions.create(model="claude-of-anthropic", messages=[{"role": "user", "content": content}])
    for model in (AZURE, VERTEX, "gemini-3.8-flash", "nova-2-lite", *ADDED):
        for number in range(3):
            ask(client, model, f"{LONG} Question {number}")
        ask_streamed(client, model, f"{LONG} A streamed question")
    for model in ("titan-embed-text-v2", "text-embedding-3-large"):
        client.embeddings.create(model=model, input="To be embedded " * 200, encoding_format="float")
    for number in range(TIMES):
        ask(client, OPUS, f"{number} {HUGE}")
    calls = model_calls(outside)
    assert {call.region for call in calls if call.provider == "bedrock"} == set(REGIONS)
    assert sum(call.usage.cached_tokens for call in calls) > 0
    assert sum(call.usage.cache_write_tokens for call in calls) > 0
    # LiteLLM writes all tags of a call together: with the one of these calls also their region, which the bill goes by.
    for by, who in (("user", USER), ("tag", TAG)):
        count_of = partial(requests, gateway, day, by, who)
        assert eventually(lambda: count_of() >= len(calls)), f"LiteLLM did not write its figures by {by}"  # noqa: B023


def requests(gateway: LocalGateway, day: date, by: str, who: str) -> int:
    """How many requests LiteLLM's figures from the day on have, of a user or a tag."""
    answer = gateway.api(
        "GET",
        f"/{by}/daily/activity/export",
        params={
            "start_date": f"{day}",
            "end_date": f"{day + timedelta(days=1)}",
            "export_type": "daily_with_models",
            "format": "csv",
        },
    )
    rows = csv.DictReader(io.StringIO(answer.text))
    return sum(int(row["api_requests"]) for row in rows if row["entity_id"] == who)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.usefixtures("used")
def test_the_figures_hold(bill: Bill) -> None:
    answer, message, metric, text = bill()
    assert answer["percent"] == dict.fromkeys(PROVIDERS, 0.0)
    assert metric == dict.fromkeys(PROVIDERS, 0.0)
    assert message.count(":large_green_circle:") == len(PROVIDERS)
    assert ":white_circle: *Mistral* is not compared: Mistral shows what was used in its console alone" in message
    every = table(text)
    assert {row["what"] for row in every} == {"model", "not compared"}
    (other,) = (row for row in every if row["what"] == "not compared" and row["provider"] != TOOLS)
    assert (other["provider"], other["deployment"]) == ("mistral", ADDED["mistral"])
    assert float(other["counted_usd"]) > 0
    rows = [row for row in every if row["what"] == "model"]
    of_organizations = {row["deployment"] for row in rows if row["provider"] in ("openai", "anthropic", "gemini")}
    assert of_organizations == {model for model in ADDED.values() if not model.startswith("mistral/")}
    by_region = {(row["provider"], row["region"]) for row in rows}
    assert {region for provider, region in by_region if provider == "bedrock"} == {*REGIONS, "all"}
    # To a cent and some tokens, and not only above the floor: earlier tests may have had answers cut off, which are
    # billed and not counted.
    for row in rows:
        assert float(row["counted_usd"]) == pytest.approx(float(row["billed_usd"]), abs=0.01), row
        for kind in ("input", "cached", "cache_write", "output"):
            if billed := row[f"billed_{kind}_tokens"]:
                assert int(billed) == pytest.approx(int(row[f"counted_{kind}_tokens"]), abs=2000), row
    assert sum(float(row["billed_usd"]) for row in rows if row["region"] != "all") > 12


@pytest.mark.usefixtures("used")
def test_a_bill_that_is_eight_percent_higher(bill: Bill, outside: OutsideWorld) -> None:
    outside.bills.distort(f"*{OPUS}", 1.08)
    answer, message, metric, _ = bill()
    assert metric["bedrock"] == pytest.approx(100 * (1 - 1 / 1.08), abs=0.2)
    assert metric["bedrock"] > TOLERANCE
    assert {provider: value for provider, value in metric.items() if provider != "bedrock"} == dict.fromkeys(
        PROVIDERS[1:], 0.0
    )
    assert answer["percent"]["bedrock"] > TOLERANCE
    assert message.count(":red_circle:") == 1
    assert f"bedrock/us.anthropic.{OPUS} in all regions" in message
    assert "the tokens agree: look at the price" in message
    assert BEDROCK not in message  # it agrees


@pytest.mark.usefixtures("used")
def test_a_bill_that_cannot_be_read(bill: Bill, outside: OutsideWorld) -> None:
    outside.set_fault("management.azure.com", Fault(status=403))
    outside.set_fault("api.openai.com", Fault(status=403))
    answer, message, metric, text = bill()
    assert "Cost Management Reader" in answer["errorMessage"]
    assert "Missing scopes: api.usage.read" in answer["errorMessage"]
    read = ("bedrock", "vertex_ai", "gemini", "anthropic")
    assert metric == dict.fromkeys(read, 0.0)
    assert "*Azure (OpenAI)* is not compared" in message
    assert "*OpenAI* is not compared" in message
    assert message.count(":large_green_circle:") == len(read)
    assert {row["provider"] for row in table(text)} - {TOOLS} == {*read, "mistral"}
