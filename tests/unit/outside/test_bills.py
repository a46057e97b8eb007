"""The simulated bills, read as they are in AWS: through the proxy, by the functions' own readers."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from usage import aws_bill, azure_bill, google_bill
from usage.bill_comparison import compare, count
from usage.bill_lines import Line, Statement, fits
from usage.environment import AzureBill, GoogleBill
from usage.errors import RefusedError, UnavailableError
from usage.figures import Period
from usage.litellm import Usage as Counted

from local.outside import bills, price_list
from local.outside.credentials import Credentials
from local.outside.records import Call, Fault, Usage
from local.outside.world import OutsideWorld
from tests.clock import for_this_thread

OCTOBER = Period("month", date(2026, 10, 1), date(2026, 10, 31))
NOVEMBER = Period("month", date(2026, 11, 1), date(2026, 11, 30))
DECEMBER = Period("month", date(2026, 12, 1), date(2026, 12, 31))
ID = "00000000-0000-4000-8000-000000000001"
AZURE = AzureBill(tenant=ID, client=ID, subscription=ID)
GOOGLE = GoogleBill(table="acme-llm.billing.export", location="US")
BEDROCK = (
    "us.anthropic.claude-opus-5-5",
    "global.anthropic.claude-haiku-4-5-20251001-v1:0",
    "us.amazon.nova-2-lite-v1:0",
    "amazon.titan-embed-text-v2:0",
    "openai.gpt-oss-120b-1:0",
)
# US dollars of one token: to be told apart in sums.
PRICES: dict[str, dict[str, float]] = {
    model: {
        "input_cost_per_token": 4e-6,
        "cache_read_input_token_cost": 4e-7,
        "cache_creation_input_token_cost": 5e-6,
        "cache_creation_input_token_cost_above_1hr": 8e-6,
        "output_cost_per_token": 2e-5,
    }
    for model in (
        *BEDROCK,
        *("azure/gpt-6.1-sol", "azure/text-embedding-3-large", "vertex_ai/gemini-4-argon", "gemini-3.8-flash"),
    )
}
USAGE = Usage(
    input_tokens=100_000,
    cached_tokens=40_000,
    cache_write_tokens=20_000,
    cache_write_1h_tokens=5_000,
    output_tokens=3_000,
    reasoning_tokens=1_000,
)
EXPECTED = 40_000 * 4e-6 + 40_000 * 4e-7 + 15_000 * 5e-6 + 5_000 * 8e-6 + 3_000 * 2e-5


@pytest.fixture
def world(tmp_path: Path, credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> Iterator[OutsideWorld]:
    monkeypatch.setattr(bills, "_prices", lambda: PRICES)
    for_this_thread(monkeypatch, sleep=lambda seconds: None)
    with OutsideWorld(tmp_path, credentials=credentials) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
            monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL_COST_EXPLORER", "https://ce.us-east-1.amazonaws.com")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
        yield running


def answered(world: OutsideWorld, provider: str, region: str, model: str, *, month: int = 10, **more: Any) -> None:  # noqa: ANN401
    moment = datetime(2026, month, 15, tzinfo=UTC).timestamp()
    fields: dict[str, Any] = {"status": 200, "usage": USAGE} | more
    call = Call(moment, "acme-llm.example.com", region, provider, "chat", model, streamed=False, **fields)
    world.journal.add_call(call)


def read_aws(period: Period = OCTOBER) -> Statement:
    return aws_bill.read(period, "000000000000")


def read_azure(world: OutsideWorld) -> Statement:
    return azure_bill.read(OCTOBER, AZURE, world.credentials.azure_billing_secret)


def read_google(world: OutsideWorld) -> Statement:
    return google_bill.read(OCTOBER, GOOGLE, world.credentials.google_billing_credentials)


def cost(lines: Iterable[Line], model: str, region: str) -> float:
    return sum(line.cost for line in lines if line.region == region and fits(line.model, model))


def test_aws(world: OutsideWorld) -> None:
    for model in BEDROCK:
        for region in ("us-west-2", "us-east-1"):
            answered(world, "bedrock", region, model)
    answered(world, "bedrock", "us-west-2", BEDROCK[0], month=9)
    answered(world, "bedrock", "us-west-2", BEDROCK[0], status=429)
    answered(world, "bedrock", "us-west-2", "not.priced")
    world.clear("calls")  # the bill stays
    statement = read_aws()
    for model in BEDROCK:
        for region in ("us-west-2", "us-east-1"):
            assert cost(statement.lines, model, region) == pytest.approx(EXPECTED)
    assert sum(line.cost for line in statement.lines) == pytest.approx(10 * EXPECTED)
    assert {line.everywhere for line in statement.lines if "Haiku" in line.model} == {True}
    assert {line.kind for line in statement.lines} == {"input", "cached", "cache_write", "output"}
    written = {line.text.partition("USW2_")[2] for line in statement.lines if line.kind == "cache_write"}
    assert {"cache_write_tokens_standard-Units", "cache_write_tokens_1h_standard-Units"} <= written
    assert not statement.preliminary
    assert read_aws(NOVEMBER).lines == []


def test_what_nova_writes_to_a_cache_is_free(world: OutsideWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line is there, with its tokens: AWS's price list has it at 0, and LiteLLM's list has no price of it."""
    (nova,) = (model for model in BEDROCK if "nova" in model)
    prices = {name: price for name, price in PRICES[nova].items() if "creation" not in name}
    monkeypatch.setattr(bills, "_prices", lambda: {nova: prices})
    answered(world, "bedrock", "us-west-2", nova)
    lines = read_aws().lines
    written = [(line.quantity * 1000, line.cost) for line in lines if line.kind == "cache_write"]
    assert [sum(figures) for figures in zip(*written, strict=True)] == [20_000, 0]
    assert sum(line.cost for line in lines) == pytest.approx(40_000 * 4e-6 + 40_000 * 4e-7 + 3_000 * 2e-5)


def test_azure(world: OutsideWorld) -> None:
    answered(world, "azure", "", "gpt-6.1-sol")
    answered(world, "azure", "", "text-embedding-3-large", usage=Usage(1_000_000))
    lines = read_azure(world).lines
    assert cost(lines, "gpt-6.1-sol", "acme-llm") == pytest.approx(EXPECTED)
    assert cost(lines, "text-embedding-3-large", "acme-llm") == pytest.approx(4.0)


def test_google(world: OutsideWorld) -> None:
    for model in ("gemini-4-argon", "gemini-3.8-flash"):
        answered(world, "vertex_ai", "global", model)
        answered(world, "vertex_ai", "us-central1", model)
    lines = read_google(world).lines
    for model in ("gemini-4-argon", "gemini-3.8-flash"):
        for region in ("global", "us-central1"):
            assert cost(lines, model, region) == pytest.approx(EXPECTED)


def test_google_is_dearer_in_a_region(world: OutsideWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    model = "vertex_ai/gemini-4-argon"
    monkeypatch.setitem(PRICES, model, {**PRICES[model], "regional_endpoint_uplift_multiplier": 1.1})
    for location in ("global", "us-central1"):
        answered(world, "vertex_ai", location, "gemini-4-argon")
    lines = read_google(world).lines
    assert cost(lines, "gemini-4-argon", "global") == pytest.approx(EXPECTED)
    assert cost(lines, "gemini-4-argon", "us-central1") == pytest.approx(EXPECTED * 1.1)


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        (bills.Deployment(base="azure/gpt-6.1-sol"), EXPECTED),
        (bills.Deployment(prices={"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}), 0.1 + 0.006),
        (bills.Deployment(base="azure/gpt-6.1-sol", prices={"output_cost_per_token": 0.0}), EXPECTED - 0.06),
        (bills.Deployment(), None),
    ],
    ids=["another model's", "its own", "in part its own", "none"],
)
def test_a_deployment_is_billed_as_config_yaml_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deployment: bills.Deployment, expected: float | None
) -> None:
    monkeypatch.setattr(bills, "_prices", lambda: PRICES)
    world = OutsideWorld(tmp_path, deployments={("azure", "acme-llm", "ours"): deployment})
    moment = datetime(2026, 10, 15, tzinfo=UTC).timestamp()
    call = Call(moment, "acme-llm.openai.azure.com", "", "azure", "chat", "ours", False, 200, USAGE)
    assert world.bills.cost(call) == (expected if expected is None else pytest.approx(expected))


def test_a_month_in_which_a_price_changes_is_right_to_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The month's comparison: LiteLLM's rows, each call at the price of its day, and the bill with one line for all."""
    monkeypatch.setattr(bills, "_prices", lambda: PRICES)
    for_this_thread(monkeypatch, sleep=lambda seconds: None)
    argon, listed = "vertex_ai/gemini-4-argon", 60_000 * 4e-6 + 40_000 * 4e-7 + 3_000 * 2e-5
    doubled = {"2026-12-01": {name: 2 * price for name, price in PRICES[argon].items()}}
    deployments = {("vertex_ai", "global", "gemini-4-argon"): bills.Deployment(prices_from=doubled)}
    usage = Usage(input_tokens=100_000, cached_tokens=40_000, output_tokens=3_000, reasoning_tokens=1_000)
    midnight = datetime(2026, 12, 1, 8, tzinfo=UTC)  # in Los Angeles; in UTC it has been December for eight hours
    second = timedelta(seconds=1)
    costs = {midnight - 9 * 3600 * second: listed, midnight - second: listed, midnight: 2 * listed}
    with OutsideWorld(tmp_path, deployments=deployments) as world:
        for moment, spent in costs.items():
            place = ("aiplatform.googleapis.com", "global", "vertex_ai", "chat", "gemini-4-argon")
            call = Call(moment.timestamp(), *place, streamed=False, status=200, usage=usage)
            world.journal.add_call(call)
            assert world.bills.cost(call) == pytest.approx(spent)
    with OutsideWorld(tmp_path, deployments=deployments) as later:  # the bill outlives the process
        for name, value in later.environment().items():
            monkeypatch.setenv(name, value)
        for period, expected in ((NOVEMBER, listed), (DECEMBER, 3 * listed)):
            rows = [
                Counted(f"{moment:%Y-%m-%d}", "region:global", "argon", argon, 1, 100_000, 3_000, 40_000, 0, spent)
                for moment, spent in costs.items()
                if period.first <= moment.date() <= period.last
            ]
            statement = google_bill.read(period, GOOGLE, later.credentials.google_billing_credentials)
            found = compare("vertex_ai", count(rows, rows, {argon: "argon"})["vertex_ai"], statement)
            assert found.counted == pytest.approx(expected)
            assert found.billed == pytest.approx(expected)
            assert [(row.region, line.kind) for row in found.rows for line in row.lines] == [
                *(("global", kind) for kind in ("cached", "input", "output", "output")),
            ]
            assert found.unmatched == []


def test_a_bill_from_before_prices_had_days_is_read(world: OutsideWorld, tmp_path: Path) -> None:
    world.stop()
    (tmp_path / "bills.json").write_text('[["2026-10", "azure", "acme-llm", "gpt-6.1-sol", "output", 1000]]')
    with OutsideWorld(tmp_path) as later:
        (charge,) = later.bills.charges("azure", "2026-10")
    assert (charge.place, charge.model, charge.kind, charge.tokens) == ("acme-llm", "gpt-6.1-sol", "output", 1000)
    assert charge.cost == pytest.approx(0.02)


def test_a_profile_of_a_region_is_priced_as_its_model(world: OutsideWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRICES, "anthropic.new", PRICES[BEDROCK[0]])
    answered(world, "bedrock", "ap-northeast-1", "jp.anthropic.new")
    assert sum(charge.cost for charge in world.bills.charges("bedrock", "2026-10")) == pytest.approx(EXPECTED)


def test_nothing_used(world: OutsideWorld) -> None:
    assert [one.lines for one in (read_aws(), read_azure(world), read_google(world))] == [[], [], []]


def test_a_bill_outlives_the_process(world: OutsideWorld, tmp_path: Path) -> None:
    answered(world, "bedrock", "us-west-2", BEDROCK[0])
    world.stop()
    with OutsideWorld(tmp_path) as later:
        assert later.bills.charges("bedrock", "2026-10") == world.bills.charges("bedrock", "2026-10") != []
    (tmp_path / "bills.json").write_text("[3]")
    with pytest.raises(ValueError, match=r"bills\.json is not a bill; delete it to begin a new one\."):
        OutsideWorld(tmp_path)


def test_a_distorted_bill(world: OutsideWorld) -> None:
    for model in BEDROCK[:2]:
        answered(world, "bedrock", "us-west-2", model)
    world.bills.distort("*claude-opus*", 1.08)
    world.bills.preliminary = True
    statement = read_aws()
    assert cost(statement.lines, BEDROCK[0], "us-west-2") == pytest.approx(1.08 * EXPECTED)
    assert cost(statement.lines, BEDROCK[1], "us-west-2") == pytest.approx(EXPECTED)
    assert statement.preliminary
    world.bills.mend()
    assert cost(read_aws().lines, BEDROCK[0], "us-west-2") == pytest.approx(EXPECTED)


def test_faults(world: OutsideWorld) -> None:
    answered(world, "azure", "", "gpt-6.1-sol")
    world.set_fault("management.azure.com", Fault(status=429, count=2))
    assert cost(read_azure(world).lines, "gpt-6.1-sol", "acme-llm") == pytest.approx(EXPECTED)
    world.set_fault("management.azure.com", Fault(status=403))
    with pytest.raises(RefusedError, match="Cost Management Reader"):
        read_azure(world)
    world.set_fault("ce.us-east-1.amazonaws.com", Fault(status=403))
    with pytest.raises(RefusedError, match="AccessDeniedException"):
        read_aws()
    world.set_fault("bigquery.googleapis.com", Fault(status=503))
    with pytest.raises(UnavailableError, match="BigQuery"):
        read_google(world)


def test_wrong_secrets(world: OutsideWorld) -> None:
    with pytest.raises(RefusedError, match="AADSTS7000215"):
        azure_bill.read(OCTOBER, AZURE, "wrong")
    with pytest.raises(RefusedError, match=r"\(401\)"):  # the gateway's own account may not read the bill
        google_bill.read(OCTOBER, GOOGLE, world.credentials.vertex_credentials)


def test_without_a_price_list_it_says_what_to_do(
    world: OutsideWorld,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(price_list, "CHECKOUT", tmp_path)
    price_list.prices.cache_clear()
    answered(world, "azure", "", "gpt-6.1-sol")
    with pytest.raises(Exception, match="run make setup"):
        world.bills.charges("azure", "2026-10")
    price_list.prices.cache_clear()
