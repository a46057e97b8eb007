"""The weekly report: three people's requests, and what the deployed function tells Slack of them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any

import openai
import pytest
from PIL import Image
from playwright.sync_api import Browser

from local.gateway import LocalGateway
from local.outside.slack import SlackWorkspace
from local.outside.slack_files import SlackFile
from local.outside.slack_workspace import Message
from tests.e2e.conftest import RESULTS, eventually, new_page, sdk, today

FLAT = "flat-rate@example.com"  # would be cheaper on ChatGPT Business, and has jumped from nothing
SEATED = "yuki.sato@example.com"  # has a seat of the Claude plan in Slack: see local/gateway.py
SMALL = "small@example.com"  # is told of and nothing else
GPT, CLAUDE, NOVA = "gpt-6.1-sol", "claude-sonnet-5-5", "nova-2-lite"
LARGE = "word " * 700_000  # 875,000 tokens, $3.50
BUSINESS = 30, 90  # the plan's price and allowance

Figures = tuple[int, ...]  # requests, prompt and completion tokens, and those read from and written to a cache


@dataclass(frozen=True)
class Told:
    """What the report was made of and what came of it. `used` is what the providers reported, by user and model."""

    used: dict[tuple[str, str], Figures]
    message: Message
    files: dict[str, SlackFile]

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of one of the files."""
        return list(csv.DictReader(io.StringIO((self.files[name].content or b"").decode())))


@pytest.fixture(scope="module")
def slack(gateway: LocalGateway) -> SlackWorkspace:
    return gateway.outside.slack_workspace


@pytest.fixture(scope="module")
def told(gateway: LocalGateway, slack: SlackWorkspace) -> Told:
    day = today(lambda day: day.isocalendar()[:2])
    used = {
        (FLAT, GPT): use(gateway, FLAT, lambda client: ask(client, GPT, LARGE, times=6)),
        (SEATED, CLAUDE): use(gateway, SEATED, lambda client: ask(client, CLAUDE, "word " * 20_000, times=2)),
        (SEATED, NOVA): use(gateway, SEATED, lambda client: ask_cached(client, NOVA, times=4)),
        (SMALL, NOVA): use(gateway, SMALL, lambda client: ask(client, NOVA, "Hello, hello", times=3)),
    }
    for who in (FLAT, SEATED, SMALL):
        tokens = sum(prompt + completion for (user, _), (_, prompt, completion, *_) in used.items() if user == who)
        assert eventually(partial(is_recorded, gateway, who, day, tokens)), who
    report = gateway.environment.report
    assert report
    before = len(slack.messages(report.channel))
    invoke(gateway, {"period": "week", "time": after_the_week(day)})
    message, _ = slack.messages(report.channel)[before:]
    files = [file for file in slack.files(report.channel) if file.thread_ts == message.ts]
    return Told(used, message, {file.name.partition("-")[0] + file.name[-4:]: file for file in files})


def use(gateway: LocalGateway, who: str, work: Callable[[openai.OpenAI], None]) -> Figures:
    """What the providers say that somebody's work used."""
    gateway.outside.clear("calls")
    work(sdk(gateway, gateway.user_key(who)))
    usages = [call.usage for call in gateway.outside.calls() if call.model]
    kinds = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens")
    return len(usages), *(sum(getattr(usage, kind) for usage in usages) for kind in kinds)


def ask(client: openai.OpenAI, model: str, prompt: str, *, times: int = 1) -> None:
    for number in range(times):
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": f"{number} {prompt}"}])


def ask_cached(client: openai.OpenAI, model: str, *, times: int) -> None:
    """Ask with a beginning that is to be cached: in three regions at most, so that one of them has it at last."""
    beginning: Any = {"type": "text", "text": "The same as ever. " * 400, "cache_control": {"type": "ephemeral"}}
    messages: Any = [{"role": "system", "content": [beginning]}, {"role": "user", "content": "Hello"}]
    for _ in range(times):
        client.chat.completions.create(model=model, messages=messages)


def is_recorded(gateway: LocalGateway, who: str, day: date, tokens: int) -> bool:
    """Whether LiteLLM has written down these tokens of somebody."""
    dates = {"start_date": str(day), "end_date": str(day + timedelta(days=1))}
    answer = gateway.api("GET", "/user/daily/activity", params={**dates, "user_id": who, "page_size": 1000})
    return tokens == sum(int(one["metrics"]["total_tokens"]) for one in answer.json()["results"])


def after_the_week(day: date) -> str:
    """When the report of a day's week is due."""
    monday = day + timedelta(days=8 - day.isoweekday())
    return datetime.combine(monday, time(0, 10), UTC).isoformat().replace("+00:00", "Z")


def invoke(gateway: LocalGateway, event: dict[str, str]) -> dict[str, Any]:
    """Run the deployed function as EventBridge Scheduler would."""
    resources = gateway.client("cloudformation").list_stack_resources(StackName="litellm-local-usage")
    (name,) = (
        resource["PhysicalResourceId"]
        for resource in resources["StackResourceSummaries"]
        if resource["ResourceType"] == "AWS::Lambda::Function" and resource["LogicalResourceId"].startswith("Report")
    )
    answer = gateway.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    return result


def cents(amount: Decimal | str) -> Decimal:
    return Decimal(amount).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_users_and_models_are_the_providers_figures_to_the_token(told: Told) -> None:
    rows = {
        (row["user"], row["model"]): tuple(
            int(row[kind])
            for kind in ("requests", "prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens")
        )
        for row in told.table("usage.csv")
    }
    assert {pair: rows[pair] for pair in told.used} == told.used
    assert {pair for pair in rows if pair[0] in (FLAT, SEATED, SMALL)} == told.used.keys()


def test_the_message_is_the_sum_of_the_table(told: Told) -> None:
    rows = told.table("usage.csv")
    tokens, requests = (sum(int(row[kind]) for row in rows) for kind in ("total_tokens", "requests"))
    cost = cents(sum((Decimal(row["cost_usd"]) for row in rows), Decimal(0)))
    users = len({row["user"] for row in rows})
    assert told.message.text.endswith(f": ${cost:,}, {requests:,} requests, {tokens:,} tokens, {users} users")
    assert f"*${cost:,}* (none before), *{requests:,}* requests" in told.message.all_text
    assert told.message.text.startswith("LLM gateway local: usage in week ")


def test_what_caches_gave_and_saved(told: Told) -> None:
    rows = told.table("usage.csv")
    prompt, cached = (sum(int(row[kind]) for row in rows) for kind in ("prompt_tokens", "cached_tokens"))
    saved = sum((Decimal(row["saved_usd"]) for row in rows if row["saved_usd"]), Decimal(0))
    (nova,) = (row for row in rows if (row["user"], row["model"]) == (SEATED, NOVA))
    assert float(nova["hit_percent"]) > 0
    assert float(nova["saved_usd"]) > 0  # writing to Nova's costs no more than input
    assert f"*Prompt caches*: *{100 * cached / prompt:.1f} %* of the prompts' tokens were read" in told.message.all_text
    words = f"saved *${cents(saved)}*" if saved >= 0 else f"cost *${cents(-saved)}* more"
    assert words in told.message.all_text


def test_the_advice_shows_its_arithmetic(told: Told) -> None:
    (used,) = (row for row in told.table("usage.csv") if row["user"] == FLAT)
    price, allowance = BUSINESS
    cost = cents(used["cost_usd"])
    monthly = cents(cost * Decimal("30.4375") / 7)
    above = monthly - allowance
    assert above > 0, "the requests are to cost more than the plan includes"
    line = (
        f"`{FLAT}`: `gpt-*` at API prices: ${cost} in 7 days = ${monthly} a month; ChatGPT Business ${price}.00 + "
        f"${above} above its ${allowance}.00 allowance = ${price + above}: *saves ${monthly - price - above}*"
    )
    assert line in told.message.all_text
    (row,) = (row for row in told.table("advice.csv") if (row["user"], row["plan"]) == (FLAT, "ChatGPT Business"))
    assert (row["finding"], row["monthly_saving_usd"]) == ("cheaper on a plan", str(monthly - price - above))


def test_a_seat_that_is_paid_for_twice_and_a_jump(told: Told, slack: SlackWorkspace) -> None:
    (used,) = (row for row in told.table("usage.csv") if (row["user"], row["model"]) == (SEATED, CLAUDE))
    cost = cents(used["cost_usd"])
    assert cost > 0
    seat = (
        f"<@{slack.person('japanese').id}> `{SEATED}`: Claude Team Premium $125.00 a month; `claude-*` at API prices: "
    )
    assert f"{seat}${cost} in 7 days" in told.message.all_text
    assert re.search(rf"Unusual jumps(.|\n)*`{FLAT}`: \$\d+\.\d\d after \$0\.00", told.message.all_text)
    findings = {(row["user"], row["finding"]) for row in told.table("advice.csv")}
    assert {(SEATED, "paid twice"), (FLAT, "unusual jump")} <= findings
    assert not any(user == SMALL for user, _ in findings)


def test_the_picture_is_in_the_thread_and_on_the_page(told: Told, gateway: LocalGateway, chromium: Browser) -> None:
    picture = told.files["usage.png"]
    assert Image.open(io.BytesIO(picture.content or b"")).format == "PNG"
    assert GPT in picture.alt_text
    page = new_page(chromium, viewport={"width": 1280, "height": 1600})
    page.goto(f"{gateway.outside.control_url}/#slack")
    shown = page.get_by_alt_text(picture.alt_text)
    shown.scroll_into_view_if_needed()
    assert shown.evaluate("image => image.naturalWidth") > 1000
    page.screenshot(path=RESULTS / "report.png")
    page.close()


def test_a_week_without_usage_is_one_line(gateway: LocalGateway, slack: SlackWorkspace) -> None:
    report = gateway.environment.report
    assert report
    result = invoke(gateway, {"period": "week", "time": "2020-01-06T00:10:00Z"})
    assert (result["period"], result["files"]) == ("2020-W01", 0)
    assert slack.messages(report.channel)[-1].text == (
        "LLM gateway local: no usage in week 1 of 2020 (30 December 2019 to 5 January 2020, UTC)."
    )
