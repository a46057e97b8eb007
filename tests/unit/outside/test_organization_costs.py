"""The simulated bills of OpenAI and Anthropic: what they refuse, that they page, and that the functions read them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from usage import anthropic_bill, openai_bill
from usage.bill_lines import fits
from usage.environment import AnthropicBill, OpenAiBill
from usage.errors import RefusedError, UnavailableError
from usage.figures import Period

from local.outside import bills
from local.outside.credentials import Credentials
from local.outside.records import Call, Fault, Usage
from local.outside.reports import AT_ONCE
from local.outside.world import OutsideWorld
from tests.clock import for_this_thread

OCTOBER = Period("month", date(2026, 10, 1), date(2026, 10, 31))
PRICE = {
    "input_cost_per_token": 4e-6,
    "cache_read_input_token_cost": 4e-7,
    "cache_creation_input_token_cost": 5e-6,
    "cache_creation_input_token_cost_above_1hr": 8e-6,
    "output_cost_per_token": 2e-5,
}
PRICES = dict.fromkeys(
    ("gpt-5.5", "gpt-5.5-2026-04-23", "gpt-5.6-sol", "claude-opus-5-5", "claude-haiku-4-5-20251001"), PRICE
)
USAGE = Usage(
    input_tokens=100_000,
    cached_tokens=40_000,
    cache_write_tokens=20_000,
    cache_write_1h_tokens=5_000,
    output_tokens=3_000,
    reasoning_tokens=1_000,
)
TOKENS = {"input": 40_000, "cached": 40_000, "cache_write": 20_000, "output": 3_000}
EXPECTED = 40_000 * 4e-6 + 40_000 * 4e-7 + 15_000 * 5e-6 + 5_000 * 8e-6 + 3_000 * 2e-5
COSTS = "https://api.openai.com/v1/organization/costs"
REPORT = "https://api.anthropic.com/v1/organizations/cost_report"
SEPTEMBER = "1788220800"  # 2026-09-01T00:00:00Z


@pytest.fixture
def world(tmp_path: Path, credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> Iterator[OutsideWorld]:
    monkeypatch.setattr(bills, "_prices", lambda: PRICES)
    for_this_thread(monkeypatch, sleep=lambda seconds: None)
    with OutsideWorld(tmp_path, credentials=credentials) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
            monkeypatch.delenv(name.lower(), raising=False)
        yield running


def answered(world: OutsideWorld, provider: str, model: str, day: int, month: int = 10) -> None:
    moment = datetime(2026, month, day, 12, tzinfo=UTC).timestamp()
    world.journal.add_call(Call(moment, "api", "", provider, "chat", model, streamed=False, status=200, usage=USAGE))


def ask(url: str, key: dict[str, str], **query: Any) -> tuple[int, Any]:  # noqa: ANN401
    """Ask as a program does, by way of the proxy; what is refused, with its message."""
    with httpx.Client() as client:
        answer = client.get(url, params=query, headers=key)
    document = answer.json()
    return answer.status_code, document if answer.is_success else document["error"]


def openai(world: OutsideWorld, **query: Any) -> tuple[int, Any]:  # noqa: ANN401
    return ask(COSTS, {"authorization": f"Bearer {world.credentials.openai_admin_key}"}, **query)


def anthropic(world: OutsideWorld, **query: Any) -> tuple[int, Any]:  # noqa: ANN401
    key = {"x-api-key": world.credentials.anthropic_admin_key, "anthropic-version": "2023-06-01"}
    return ask(REPORT, key, **query)


def test_a_month_of_openai(world: OutsideWorld) -> None:
    for day in (1, 15, 31):
        answered(world, "openai", "gpt-5.5", day)
    answered(world, "openai", "gpt-5.6-sol", 15)
    answered(world, "openai", "gpt-5.5", 30, month=9)
    answered(world, "openai", "gpt-5.5", 1, month=11)
    key = world.credentials.openai_admin_key
    lines = openai_bill.read(OCTOBER, OpenAiBill(projects=()), key).lines
    for model, times in {"gpt-5.5": 3, "gpt-5.6-sol": 1}.items():
        own = [line for line in lines if fits(line.model, model)]
        assert sum(line.cost for line in own) == pytest.approx(times * EXPECTED)
        tokens = {kind: sum(line.quantity for line in own if line.kind == kind) for kind in TOKENS}
        assert tokens == {kind: times * count for kind, count in TOKENS.items()}
    assert "proj_simulated: gpt-5.5-2026-04-23, cached input" in {line.text for line in lines}  # of its release
    assert openai_bill.read(OCTOBER, OpenAiBill(projects=("proj_other",)), key).lines == []
    assert len(openai_bill.read(OCTOBER, OpenAiBill(projects=("proj_simulated",)), key).lines) == len(lines)


def test_a_month_of_anthropic(world: OutsideWorld) -> None:
    for day in (1, 15, 31):
        answered(world, "anthropic", "claude-haiku-4-5-20251001", day)
    answered(world, "anthropic", "claude-opus-5-5", 15)
    answered(world, "anthropic", "claude-opus-5-5", 1, month=11)
    key = world.credentials.anthropic_admin_key
    lines = anthropic_bill.read(OCTOBER, AnthropicBill(workspaces=()), key).lines
    for model, times in {"claude-haiku-4-5-20251001": 3, "claude-opus-5-5": 1}.items():
        own = [line for line in lines if fits(line.model, model)]
        assert sum(line.cost for line in own) == pytest.approx(times * EXPECTED)
        tokens = {kind: sum(line.quantity for line in own if line.kind == kind) for kind in TOKENS}
        assert tokens == {kind: times * count for kind, count in TOKENS.items()}
    assert "default: Claude Haiku 4.5 Usage - Input Tokens, Cache Write" in {line.text for line in lines}
    assert anthropic_bill.read(OCTOBER, AnthropicBill(workspaces=("wrkspc_other",)), key).lines == []


def test_pages_and_what_is_not_grouped(world: OutsideWorld) -> None:
    answered(world, "openai", "gpt-5.5", 10, month=9)
    answered(world, "anthropic", "claude-opus-5-5", 10, month=9)
    asked: dict[str, Any] = {"start_time": SEPTEMBER, "end_time": "1790812800", "limit": "31"}
    found: list[Any] = []
    page: dict[str, str] = {}
    pages = 0
    while True:
        status, answer = openai(world, **asked, **page)
        assert (status, answer["has_more"]) == (200, answer["next_page"] is not None)
        found += answer["data"]
        pages += 1
        if not answer["has_more"]:
            break
        page = {"page": answer["next_page"]}
    assert (len(found), pages) == (30, 3)
    assert len(openai(world, **asked)[1]["data"]) == AT_ONCE
    (result,) = found[9]["results"]
    assert result["amount"]["value"] == pytest.approx(EXPECTED)
    assert {result[name] for name in ("line_item", "project_id", "quantity", "quantity_unit")} == {None}
    assert [bucket["results"] for bucket in found[:9]] == [[]] * 9
    # Without a limit there are seven days of each, and no tenth.
    assert len(openai(world, start_time=SEPTEMBER, end_time="1790812800")[1]["data"]) == 7
    _, report = anthropic(world, starting_at="2026-09-09T00:00:00Z", ending_at="2026-10-01T00:00:00Z")
    assert (len(report["data"]), report["has_more"]) == (7, True)
    (result,) = report["data"][1]["results"]
    assert float(result["amount"]) == pytest.approx(100 * EXPECTED)  # cents
    assert {result[name] for name in ("description", "model", "token_type", "service_tier")} == {None}


def test_what_openai_refuses(world: OutsideWorld) -> None:
    key = {"authorization": "Bearer sk-admin-another"}
    status, error = ask(COSTS, key, start_time=SEPTEMBER)
    assert (status, error["code"]) == (401, "invalid_api_key")
    status, error = ask(COSTS, {"authorization": "Bearer sk-proj-calls-models"}, start_time=SEPTEMBER)
    assert (status, error["message"].partition(". ")[2]) == (403, "Missing scopes: api.usage.read.")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "Missing required parameter: 'start_time'"),
        ({"start_time": "2026-09-01"}, "expected an integer"),
        ({"start_time": SEPTEMBER, "bucket_width": "1h"}, "'1h' of 'bucket_width'. Supported values are: '1d'."),
        ({"start_time": SEPTEMBER, "limit": "0"}, "from 1 to 180"),
        ({"start_time": SEPTEMBER, "limit": "181"}, "from 1 to 180"),
        ({"start_time": SEPTEMBER, "group_by[]": "model"}, "'model' of 'group_by'"),
        ({"start_time": SEPTEMBER, "group_by": "line_item"}, "Unknown parameter: 'group_by'"),
        ({"start_time": SEPTEMBER, "end_time": SEPTEMBER}, "must be after"),
        ({"start_time": SEPTEMBER, "page": "page_2"}, "no page of this report"),
        ({"start_time": SEPTEMBER, "projects": "proj_1"}, "Unknown parameter: 'projects'"),
    ]
    for query, sentence in wrong:
        status, error = openai(world, **query)
        assert (status, error["type"]) == (400, "invalid_request_error"), query
        assert sentence in error["message"], query
    url = COSTS.replace("costs", "users")
    assert ask(url, {"authorization": f"Bearer {world.credentials.openai_admin_key}"})[0] == 404


def test_what_anthropic_refuses(world: OutsideWorld) -> None:
    version = {"anthropic-version": "2023-06-01"}
    start = "2026-09-01T00:00:00Z"
    assert ask(REPORT, version, starting_at=start) == (
        401,
        {"type": "authentication_error", "message": "x-api-key header is required"},
    )
    assert ask(REPORT, {**version, "x-api-key": "sk-ant-api03-of-a-workspace"}, starting_at=start) == (
        401,
        {"type": "authentication_error", "message": "invalid x-api-key"},
    )
    status, error = ask(REPORT, {"x-api-key": world.credentials.anthropic_admin_key}, starting_at=start)
    assert (status, error["message"]) == (400, "anthropic-version: header is required")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "starting_at: Field required"),
        ({"starting_at": "yesterday"}, "valid datetime"),
        ({"starting_at": "2026-09-01T00:00:00"}, "timezone"),
        ({"starting_at": start, "bucket_width": "1h"}, "Supported values are: '1d'"),
        ({"starting_at": start, "limit": "32"}, "from 1 to 31"),
        ({"starting_at": start, "group_by[]": "model"}, "'model' of 'group_by'"),
        ({"starting_at": start, "workspace_ids[]": "wrkspc_1"}, "Unknown parameter"),
    ]
    for query, sentence in wrong:
        status, error = anthropic(world, **query)
        assert (status, error["type"]) == (400, "invalid_request_error"), query
        assert sentence in error["message"], query


def test_a_wrong_key_and_a_fault_reach_the_function_as_a_sentence(world: OutsideWorld) -> None:
    with pytest.raises(RefusedError, match=r"OpenAI's costs refused \(401\): Incorrect API key provided"):
        openai_bill.read(OCTOBER, OpenAiBill(projects=()), "sk-admin-another")
    with pytest.raises(RefusedError, match=r"refused \(401\): invalid x-api-key; store an admin key"):
        anthropic_bill.read(OCTOBER, AnthropicBill(workspaces=()), "sk-ant-admin01-another")
    world.set_fault("api.openai.com", Fault(status=403))
    with pytest.raises(RefusedError, match=r"\(403\): You have insufficient permissions .* Missing scopes"):
        openai_bill.read(OCTOBER, OpenAiBill(projects=()), world.credentials.openai_admin_key)
    world.set_fault("api.anthropic.com", Fault(status=503))
    with pytest.raises(UnavailableError, match=r"Anthropic's cost report did not answer \(503\)"):
        anthropic_bill.read(OCTOBER, AnthropicBill(workspaces=()), world.credentials.anthropic_admin_key)


def test_bills_of_an_earlier_version_keep_their_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bills, "_prices", lambda: PRICES)
    file = tmp_path / "bills.json"
    file.write_text('[["2026-10", "", "openai", "api", "gpt-5.5", "input", 1000]]')
    kept = bills.Bills(file)
    kept.add(
        Call(datetime(2026, 10, 9, tzinfo=UTC).timestamp(), "api", "", "openai", "c", "gpt-5.5", False, 200, USAGE)
    )
    (charge,) = (one for one in kept.charges("openai", "2026-10") if one.kind == "input")
    assert charge.tokens == 41_000
    (charge,) = (one for one in kept.charges("openai", "2026-10-09") if one.kind == "input")
    assert charge.tokens == 40_000
