"""The readers of OpenAI's and Anthropic's bills: lines, pages, what is asked, and sentences of what is refused."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from urllib3 import HTTPResponse
from usage import anthropic_bill, clouds, openai_bill
from usage.bill_lines import Kind, Statement, fits
from usage.environment import AnthropicBill, OpenAiBill
from usage.errors import RefusedError, UnavailableError
from usage.figures import Period

from tests.clock import for_this_thread

OCTOBER = Period("month", date(2026, 10, 1), date(2026, 10, 31))
Json = dict[str, Any]


class Cloud:
    """A pool of connections that answers with its answers, one a request, and keeps the requests."""

    def __init__(self, *answers: tuple[int, object]) -> None:
        self.answers: Iterator[tuple[int, object]] = iter(answers)
        self.requests: list[tuple[str, list[tuple[str, str]], dict[str, str]]] = []

    def request(self, method: str, url: str, **request: Any) -> HTTPResponse:  # noqa: ANN401
        assert method == "GET"
        assert request["retries"] is False  # or a key would follow wherever it is sent
        self.requests.append((url, request["fields"], request["headers"]))
        status, body = next(self.answers)
        return HTTPResponse(json.dumps(body).encode(), status=status)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited; nobody does."""
    waited: list[float] = []
    for_this_thread(monkeypatch, sleep=waited.append)
    return waited


def page(*buckets: list[Json], after: str | None = None) -> tuple[int, Json]:
    return 200, {"data": [{"results": rows} for rows in buckets], "has_more": after is not None, "next_page": after}


# OpenAI


def cost(item: str | None, value: object = 1.0, **more: object) -> Json:
    row = {"object": "organization.costs.result", "amount": {"value": value, "currency": "usd"}, "line_item": item}
    return row | {"project_id": "proj_1", "quantity": 10, "quantity_unit": "tokens"} | more


def openai(*answers: tuple[int, object], projects: tuple[str, ...] = ()) -> tuple[Callable[[], Statement], Cloud]:
    cloud = Cloud(*answers)
    settings = OpenAiBill(projects=projects)
    return lambda: openai_bill.read(OCTOBER, settings, "sk-admin-1", cloud), cloud  # type: ignore[arg-type]


class TestOpenAi:
    @pytest.mark.parametrize(
        ("item", "deployed", "kind"),
        [
            ("gpt-5.5-2026-04-23, input", "gpt-5.5", "input"),
            ("gpt-5.5-2026-04-23, input", "gpt-5.5-2026-04-23", "input"),
            ("gpt-5.5-2026-04-23, cached input", "gpt-5.5", "cached"),
            ("gpt-5.6-sol, cache writes", "gpt-5.6-sol", "cache_write"),
            ("gpt-4.1-2025-04-14, output", "gpt-4.1", "output"),
            ("gpt-6-astra, input_tokens", "gpt-6-astra", "input"),
            ("gpt-6-astra, cached_input_tokens", "gpt-6-astra", "cached"),
            ("priority | gpt-5.6-sol, output, long context", "gpt-5.6-sol", "output"),
            ("gpt-audio-mini-2025-12-15 audio, input", "gpt-audio-mini", "input"),
            ("gpt-image-2.5-sunburst text, cached input", "gpt-image-2.5-sunburst", "cached"),
            ("text-embedding-3-large, input", "text-embedding-3-large", "input"),
            ("o3-2025-04-16, output", "o3", "output"),
            ("web search tool calls", "", "other"),
            ("assistants api | file search", "", "other"),
        ],
    )
    def test_a_line(self, item: str, deployed: str, kind: Kind) -> None:
        read, _ = openai(page([cost(item, 7.5)]))
        (line,) = read().lines
        names: tuple[str, ...] = (
            "gpt-5.5",
            "gpt-5.5-2026-04-23",
            "gpt-5.5-pro",
            "gpt-5.6-sol",
            "gpt-4.1",
            "gpt-4.1-mini",
            "gpt-6-astra",
        )
        names += ("gpt-audio-mini", "gpt-audio", "gpt-image-2.5-sunburst", "text-embedding-3-large", "o3", "o3-mini")
        assert {name for name in names if fits(line.model, name)} == {
            name
            for name in names
            if deployed and name.removesuffix("-2026-04-23") == deployed.removesuffix("-2026-04-23")
        }
        assert (line.kind, line.region, line.cost) == (kind, "proj_1", 7.5)
        assert line.text == f"proj_1: {item}"

    def test_pages_and_what_is_asked(self) -> None:
        one, other = "gpt-5.5-2026-04-23, input", "gpt-5.5-2026-04-23, output"
        read, cloud = openai(
            page([cost(one, 1.0), cost(other, "2.5"), cost(one, 4.0, project_id="proj_2")], [], after="page_2"),
            page([cost(one, 8.0), cost("a credit", 0.0, quantity=None, quantity_unit=None)]),
            projects=("proj_1", "proj_2"),
        )
        statement = read()
        assert [(line.region, line.cost, line.quantity) for line in statement.lines] == [
            ("proj_1", 9.0, 20),
            ("proj_1", 2.5, 10),
            ("proj_2", 4.0, 10),
        ]
        assert (statement.placed, statement.preliminary, statement.discount) == (False, False, 0.0)
        (url, first, headers), (_, second, _) = cloud.requests
        assert (url, headers) == (
            "https://api.openai.com/v1/organization/costs",
            {"Authorization": "Bearer sk-admin-1"},
        )
        assert first == [
            ("start_time", "1790812800"),  # 2026-10-01T00:00:00Z
            ("end_time", "1793491200"),  # 2026-11-01T00:00:00Z
            ("bucket_width", "1d"),
            ("group_by[]", "project_id"),
            ("group_by[]", "line_item"),
            ("project_ids[]", "proj_1"),
            ("project_ids[]", "proj_2"),
            ("limit", "31"),
        ]
        assert second == [*first, ("page", "page_2")]

    @pytest.mark.parametrize(
        ("unit", "tokens"),
        [("tokens", 10), ("1000_tokens", 10_000), (None, 10), ("images", 0), ("duration_seconds", 0)],
    )
    def test_units(self, unit: str | None, tokens: int) -> None:
        read, _ = openai(page([cost("gpt-5.5-2026-04-23, input", quantity_unit=unit)]))
        assert read().lines[0].quantity == tokens

    def test_another_currency_is_not_compared(self) -> None:
        read, _ = openai(page([cost("gpt-5.5, input", amount={"value": 1.0, "currency": "eur"})]))
        with pytest.raises(RefusedError, match="OpenAI's costs are in eur, and LiteLLM counts US dollars"):
            read()

    @pytest.mark.parametrize("after", ["", "page_2"])
    def test_pages_without_an_end(self, after: str) -> None:
        read, cloud = openai(page([], after=after), page([], after=after), page([]))
        with pytest.raises(RefusedError, match="there is more, and names no other page"):
            read()
        assert len(cloud.requests) == (2 if after else 1)

    def test_refusals_say_what_to_do_and_no_key(self) -> None:
        error = {"message": "Incorrect API key provided: sk-admin-abcdef.", "code": "invalid_api_key"}
        read, _ = openai((401, {"error": error}))
        with pytest.raises(RefusedError) as raised:
            read()
        assert str(raised.value).startswith(
            "OpenAI's costs refused (401): Incorrect API key provided: [secret]; store an"
        )
        assert "OPENAI_ADMIN_KEY (make secrets)" in str(raised.value)

    def test_it_waits_and_gives_up(self, pauses: list[float]) -> None:
        read, _ = openai((429, {}), (500, {}), page([]))
        assert read().lines == []
        assert pauses == [clouds.PAUSE] * 2
        read, _ = openai(*[(503, {})] * clouds.ATTEMPTS)
        with pytest.raises(UnavailableError, match=r"OpenAI's costs did not answer \(503\)"):
            read()


# Anthropic


def billed(model: str | None, token_type: str | None, cents: str, **more: object) -> Json:
    row: Json = {"amount": cents, "currency": "USD", "workspace_id": None, "description": f"{model} Usage"}
    row |= {"model": model, "token_type": token_type, "service_tier": "standard", "context_window": "0-200k"}
    return row | more


def used(model: str, *, workspace: str | None = None, tier: str = "standard", **tokens: int) -> Json:
    row: Json = {"model": model, "workspace_id": workspace, "service_tier": tier, "output_tokens": 0}
    row |= {"uncached_input_tokens": 0, "cache_read_input_tokens": 0}
    row["cache_creation"] = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}
    return row | tokens


def anthropic(*answers: tuple[int, object], workspaces: tuple[str, ...] = ()) -> tuple[Callable[[], Statement], Cloud]:
    cloud = Cloud(*answers)
    settings = AnthropicBill(workspaces=workspaces)
    return lambda: anthropic_bill.read(OCTOBER, settings, "sk-ant-admin01-1", cloud), cloud  # type: ignore[arg-type]


INPUT, OUTPUT, READ = "uncached_input_tokens", "output_tokens", "cache_read_input_tokens"
WRITE_5M, WRITE_1H = (f"cache_creation.ephemeral_{time}_input_tokens" for time in ("5m", "1h"))
OPUS, HAIKU = "claude-opus-5-5", "claude-haiku-4-5-20251001"


class TestAnthropic:
    @pytest.mark.parametrize(
        ("token_type", "kind"),
        [(INPUT, "input"), (READ, "cached"), (WRITE_5M, "cache_write"), (WRITE_1H, "cache_write"), (OUTPUT, "output")],
    )
    def test_kinds_in_dollars_with_their_tokens(self, token_type: str, kind: Kind) -> None:
        writes = {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}
        tokens: Any = {INPUT: 1, READ: 2, OUTPUT: 5, "cache_creation": writes}
        read, _ = anthropic(page([billed(HAIKU, token_type, "12345.5")]), page([used(HAIKU, **tokens)]))
        line, *others = read().lines
        assert (line.kind, line.cost, line.quantity) == (
            kind,
            123.455,
            {**tokens, WRITE_5M: 3, WRITE_1H: 4}[token_type],
        )
        assert (line.model, line.region, line.text) == ("claude-haiku-4-5", "default", f"default: {HAIKU} Usage")
        assert {fits(line.model, name) for name in (HAIKU, "claude-haiku-4-5")} == {True}
        assert not fits(line.model, "claude-haiku-5-5")
        assert {other.cost for other in others} == {0.0}  # what the cost report does not have

    def test_pages_and_what_is_asked(self) -> None:
        read, cloud = anthropic(
            page([billed(OPUS, INPUT, "100")], [billed(OPUS, INPUT, "0.5")], after="page_2"),
            page([billed(OPUS, INPUT, "1"), billed(None, None, "300", service_tier=None, context_window=None)]),
            page([used(OPUS, uncached_input_tokens=7)], after="page_b"),
            page([used(OPUS, uncached_input_tokens=2)]),
        )
        statement = read()
        assert [(line.model, line.kind, line.cost, line.quantity) for line in statement.lines] == [
            ("", "other", 3.0, 0),
            (OPUS, "input", 1.015, 9),
        ]
        assert (statement.placed, statement.preliminary) == (False, False)
        urls = [url.removeprefix("https://api.anthropic.com/v1/organizations/") for url, _, _ in cloud.requests]
        assert urls == ["cost_report"] * 2 + ["usage_report/messages"] * 2
        assert {tuple(headers.items()) for _, _, headers in cloud.requests} == {
            (("x-api-key", "sk-ant-admin01-1"), ("anthropic-version", "2023-06-01"))
        }
        asked = [fields for _, fields, _ in cloud.requests]
        common = [
            ("starting_at", "2026-10-01T00:00:00Z"),
            ("ending_at", "2026-11-01T00:00:00Z"),
            ("bucket_width", "1d"),
        ]
        assert asked[0] == [*common, ("group_by[]", "workspace_id"), ("group_by[]", "description"), ("limit", "31")]
        assert asked[1] == [*asked[0], ("page", "page_2")]
        groups = [("group_by[]", name) for name in ("workspace_id", "model", "service_tier")]
        assert asked[2] == [*common, *groups, ("limit", "31")]
        assert asked[3] == [*asked[2], ("page", "page_b")]

    def test_batches_and_long_prompts_are_lines_of_their_own_with_the_tokens_once(self) -> None:
        read, _ = anthropic(
            page(
                [
                    billed(OPUS, INPUT, "100"),
                    billed(OPUS, INPUT, "50", service_tier="batch"),
                    billed(OPUS, INPUT, "200", context_window="200k-1M"),
                ]
            ),
            page([used(OPUS, uncached_input_tokens=5), used(OPUS, tier="batch", uncached_input_tokens=6)]),
        )
        lines = read().lines
        assert {line.text.removeprefix(f"default: {OPUS} Usage"): line.cost for line in lines} == {
            "": 1.0,
            ", batch": 0.5,
            ", 200k-1M": 2.0,
        }
        assert sum(line.quantity for line in lines) == 11

    def test_priority_tier_has_no_costs_and_so_no_tokens(self) -> None:
        read, _ = anthropic(page([]), page([used(OPUS, tier="priority", output_tokens=1000)]))
        assert read().lines == []

    def test_what_was_used_at_no_cost_is_told(self) -> None:
        read, _ = anthropic(page([]), page([used(OPUS, output_tokens=1000)]))
        (line,) = read().lines
        assert (line.text, line.cost, line.quantity) == (f"default: {OPUS} output_tokens, at no cost", 0.0, 1000)

    @pytest.mark.parametrize(
        ("workspaces", "cost"), [((), 7.0), (("default",), 1.0), (("wrkspc_1",), 2.0), (("default", "wrkspc_2"), 5.0)]
    )
    def test_some_workspaces_alone(self, workspaces: tuple[str, ...], cost: float) -> None:
        places = {None: ("100", 1), "wrkspc_1": ("200", 2), "wrkspc_2": ("400", 4)}
        costs = [billed(OPUS, OUTPUT, cents, workspace_id=place) for place, (cents, _) in places.items()]
        tokens = [used(OPUS, workspace=place, output_tokens=count) for place, (_, count) in places.items()]
        read, _ = anthropic(page(costs), page(tokens), workspaces=workspaces)
        lines = read().lines
        assert sum(line.cost for line in lines) == cost
        assert sum(line.quantity for line in lines) == cost

    def test_another_currency_is_not_compared(self) -> None:
        read, _ = anthropic(page([billed(OPUS, INPUT, "1", currency="EUR")]))
        with pytest.raises(RefusedError, match="Anthropic's costs are in EUR"):
            read()

    def test_refusals_say_what_to_do(self, pauses: list[float]) -> None:
        error = {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}
        read, _ = anthropic((401, error))
        with pytest.raises(
            RefusedError, match=r"cost report refused \(401\): invalid x-api-key; .*ANTHROPIC_ADMIN_KEY"
        ):
            read()
        read, _ = anthropic((529, {}), page([]), *[(529, {})] * clouds.ATTEMPTS)
        with pytest.raises(UnavailableError, match=r"Anthropic's usage report did not answer \(529\)"):
            read()
        assert len(pauses) == clouds.ATTEMPTS
