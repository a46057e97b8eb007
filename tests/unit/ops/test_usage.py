"""ops/usage.py: what it prints, whom it asks with which key, and a sentence for what can go wrong."""

# ruff: noqa: E501 - the table as it is printed

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date
from itertools import product
from typing import Any, cast

import boto3
import pytest
from botocore import exceptions as aws
from usage.cache_prices import CachePrices
from usage.errors import RefusedError, UnavailableError
from usage.litellm import Usage

from ops import usage as command
from stacks import CHECKOUT
from stacks.company import environments

DEV = environments()["dev"]
KEY = "sk-hunter2-of-this-test"
TODAY = date(2026, 11, 24)


def used(
    who: str,
    model: str,
    cost: float,
    *,
    prompt: int = 1000,
    day: int = 1,
    deployment: str = "",
    saved: float | None = 0.25,
) -> Usage:
    return Usage(
        date=f"2026-11-{day:02}",
        who=who,
        model=model,
        deployment=deployment or f"azure/{model}",
        requests=2,
        prompt_tokens=prompt,
        completion_tokens=500,
        cached_tokens=prompt // 2,
        cache_write_tokens=10,
        cost=cost,
        saved=saved,
    )


USAGES = [
    used("ben@example.com", "gpt-6-luna", 0.1),
    used("ben@example.com", "gpt-6-luna", 0.2, day=2),  # 0.30000000000000004 with the former
    used("ana@example.com", "gpt-6-luna", 1, saved=-0.00004),
    used("ana@example.com", "claude-sonnet-5-5", 1234.5, prompt=2_000_000, deployment="bedrock/us.sonnet"),
    used("ana@example.com", "claude-sonnet-5-5", 0.5, deployment="bedrock/eu.sonnet"),
    used("", "titan-embed-text-v2", 4e-08, saved=4e-09),
    used("=1+1@example.com", "free", 0, saved=None),
]

TABLE = """\
user              model                requests     prompt  completion     cached  written  hit rate  total tokens  cost (USD)  saved (USD)  could save
ana@example.com   claude-sonnet-5-5           4  2,001,000       1,000  1,000,500       20     50.0%     2,002,000  1,235.0000       0.5000           -
ana@example.com   gpt-6-luna                  2      1,000         500        500       10     50.0%         1,500      1.0000     >-0.0001           -
ana@example.com   total                       6  2,002,000       1,500  1,001,000       30     50.0%     2,003,500  1,236.0000       0.5000           -
ben@example.com   gpt-6-luna                  4      2,000       1,000      1,000       20     50.0%         3,000      0.3000       0.5000           -
ben@example.com   total                       4      2,000       1,000      1,000       20     50.0%         3,000      0.3000       0.5000           -
(none)            titan-embed-text-v2         2      1,000         500        500       10     50.0%         1,500     <0.0001      <0.0001           -
(none)            total                       2      1,000         500        500       10     50.0%         1,500     <0.0001      <0.0001           -
=1+1@example.com  free                        2      1,000         500        500       10     50.0%         1,500      0.0000      unknown           -
=1+1@example.com  total                       2      1,000         500        500       10     50.0%         1,500      0.0000      unknown           -
total                                        14  2,006,000       3,500  1,003,000       70     50.0%     2,009,500  1,236.3000       1.0000           -
"""

CSV = """\
user,model,requests,prompt_tokens,completion_tokens,cached_tokens,cache_write_tokens,hit_percent,total_tokens,cost,saved,could_save,could_save_at_most
ana@example.com,claude-sonnet-5-5,4,2001000,1000,1000500,20,50.0,2002000,1235.0000000000,0.5000000000,,
ana@example.com,gpt-6-luna,2,1000,500,500,10,50.0,1500,1.0000000000,-0.0000400000,,
ben@example.com,gpt-6-luna,4,2000,1000,1000,20,50.0,3000,0.3000000000,0.5000000000,,
,titan-embed-text-v2,2,1000,500,500,10,50.0,1500,0.0000000400,0.0000000040,,
'=1+1@example.com,free,2,1000,500,500,10,50.0,1500,0.0000000000,,,
"""


class Aws:
    """SSM and STS in memory: the two calls that the command makes."""

    def __init__(self) -> None:
        self.account = DEV.account
        self.failures: dict[str, Exception] = {}

    def client(self, service: str) -> Aws:
        assert service in ("ssm", "sts")
        return self

    def get_caller_identity(self) -> dict[str, str]:
        self._fail("GetCallerIdentity")
        return {"Account": self.account}

    def get_parameter(self, **request: object) -> dict[str, Any]:
        assert request == {"Name": "/litellm/dev/USAGE_KEY", "WithDecryption": True}
        self._fail("GetParameter")
        return {"Parameter": {"Value": KEY}}

    def refuse(self, operation: str, code: str) -> None:
        answer: Any = {"Error": {"Code": code, "Message": f"{KEY} of AWS's message"}}
        self.failures[operation] = aws.ClientError(answer, operation)

    def _fail(self, operation: str) -> None:
        if operation in self.failures:
            raise self.failures[operation]


class LiteLlm:
    """In the place of the client: what it is asked, and what it knows."""

    def __init__(self) -> None:
        self.known: list[Usage] = list(USAGES)
        self.asked: list[tuple[object, ...]] = []
        self.failure: BaseException | None = None

    def __call__(self, url: str, key: str) -> LiteLlm:
        self.asked.append((url, key))
        return self

    def cache_prices(self) -> dict[str, CachePrices]:
        return {"nova-2-lite": CachePrices(input=3e-7, output=3e-6, read=1e-7, write=3e-7, write_1h=3e-7, marked=True)}

    def usage(self, start: date, end: date, *, by: str) -> Iterator[Usage]:
        self.asked.append((start, end, by))
        if self.failure:
            raise self.failure
        yield from self.known


class Clock:
    """In the place of datetime."""

    @staticmethod
    def now(zone: object) -> Clock:
        assert zone is UTC
        return Clock()

    @staticmethod
    def date() -> date:
        return TODAY


@pytest.fixture
def account() -> Aws:
    return Aws()


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> LiteLlm:
    litellm = LiteLlm()
    monkeypatch.setattr(command, "LiteLlm", litellm)
    monkeypatch.setattr(command, "datetime", Clock)
    monkeypatch.delenv("LITELLM_URL", raising=False)
    return litellm


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(account: Aws, litellm: LiteLlm, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command and returns its exit code and what it printed."""

    def run(*arguments: str, env: str = "dev") -> tuple[int, str, str]:
        code = command.main(["--env", env, *arguments], session=cast("boto3.Session", account))
        out, err = capsys.readouterr()
        assert KEY not in out + err
        return code, out, err

    return run


# What is printed


@pytest.mark.parametrize(("format_", "expected"), [("table", TABLE), ("csv", CSV)])
def test_prints(run: Run, format_: str, expected: str) -> None:
    code, out, err = run("--format", format_)
    assert (code, out) == (0, expected)
    assert err == "usage: dev, 2026-11-01 to 2026-11-24 (UTC), from https://llm.dev.example.com\n"


def test_table_is_the_default(run: Run) -> None:
    assert run()[1] == TABLE


def test_json_has_the_same(run: Run) -> None:
    printed = json.loads(run("--format", "json")[1])
    assert (printed["from"], printed["to"]) == ("2026-11-01", "2026-11-24")
    rows = [
        [user["user"], *("" if value is None else _printed(name, value) for name, value in model.items())]
        for user in printed["users"]
        for model in user["models"]
    ]
    table = [*csv.reader(io.StringIO(CSV))]
    rows[-1][0] = f"'{rows[-1][0]}"  # which CSV has for spreadsheets
    assert rows == table[1:]
    names = table[0][2:-2]
    assert {*printed["users"][0]} == {"user", "models", *names}
    for whole, parts in ((printed["total"], printed["users"]), *((user, user["models"]) for user in printed["users"])):
        sums = {name: sum(part[name] or 0 for part in parts) for name in names}
        rate = round(100 * sums["cached_tokens"] / sums["prompt_tokens"], 2)
        assert {name: whole[name] or 0 for name in names} == pytest.approx(sums | {"hit_percent": rate})


def _printed(name: str, value: object) -> str:
    return f"{value:.10f}" if name in ("cost", "saved") else str(value)


def test_who_could_save_by_caching(run: Run, litellm: LiteLlm) -> None:
    """Likely, as those who cache do; at most, where nobody does."""
    cached = used("ben@example.com", "nova-2-lite", 1, prompt=8_000_000)  # half of it read
    script = replace(used("ana@example.com", "nova-2-lite", 1, prompt=40_000_000), requests=400, cached_tokens=0)
    for known, likely, told in (([script], None, "<8.00"), ([script, cached], 3.75, "3.75")):
        litellm.known = known
        row = run()[1].splitlines()[1].split()
        assert (row[0], row[5], row[6], row[7], row[-1]) == ("ana@example.com", "0", "10", "0.0%", told)
        (csv_row, *_) = csv.DictReader(io.StringIO(run("--format", "csv")[1]))
        model = json.loads(run("--format", "json")[1])["users"][0]["models"][0]
        assert (csv_row["could_save"], csv_row["could_save_at_most"]) == (str(likely or ""), "8.0")
        assert (model["could_save"], model["could_save_at_most"]) == (likely, 8.0)


def test_what_is_saved_and_not_known(run: Run, litellm: LiteLlm) -> None:
    """Of somebody with a model that has no price it is not known; what is known of others is summed."""
    litellm.known = [used("ana@example.com", "own", 1, saved=None), used("ana@example.com", "gpt", 1, saved=0.5)]
    gpt, own, total, _ = (line.split()[-2] for line in run()[1].splitlines()[1:])
    assert (gpt, own, total) == ("0.5000", "unknown", "0.5000")
    rows = csv.DictReader(io.StringIO(run("--format", "csv")[1]))
    assert {row["model"]: row["saved"] for row in rows} == {"gpt": "0.5000000000", "own": ""}
    user = json.loads(run("--format", "json")[1])["users"][0]
    assert (user["saved"], [model["saved"] for model in user["models"]]) == (0.5, [0.5, None])


def test_by_team(run: Run, litellm: LiteLlm) -> None:
    litellm.known = [used("platform", "gpt-6-luna", 1)]
    assert run("--by", "team")[1].splitlines()[:2] == [
        "team      model       requests  prompt  completion  cached  written  hit rate  total tokens  cost (USD)  "
        "saved (USD)  could save",
        "platform  gpt-6-luna         2   1,000         500     500       10     50.0%         1,500      1.0000  "
        "     0.2500           -",
    ]
    assert run("--by", "team", "--format", "csv")[1].startswith("team,model,")
    assert json.loads(run("--by", "team", "--format", "json")[1])["teams"][0]["team"] == "platform"
    assert {asked[-1] for asked in litellm.asked[1::2]} == {"team"}


@pytest.mark.parametrize("format_", ["table", "csv", "json"])
def test_nothing_was_used(run: Run, litellm: LiteLlm, format_: str) -> None:
    litellm.known = []
    code, out, err = run("--format", format_)
    assert code == 0
    assert err.splitlines()[1].startswith("usage: nothing was used on these days, or LiteLLM")
    names = CSV.splitlines()[0].split(",")[2:-2]
    match format_:
        case "table":
            assert out.splitlines()[1].split() == ["total", *"00000", "0.0%", "0", "0.0000", "0.0000", "-"]
        case "csv":
            assert out == CSV[: CSV.index("\n") + 1]
        case _:
            assert json.loads(out)["total"] == dict.fromkeys(names, 0)


def test_a_company(run: Run, litellm: LiteLlm) -> None:
    """Rows and totals of many, whatever the order in which their days come."""
    people, models = range(200), range(50)
    litellm.known = [
        used(f"user-{person}@example.com", f"model-{model}", person, day=day)
        for day, person, model in product((1, 2), people, models)
    ]
    lines = run()[1].splitlines()
    assert len(lines) == 1 + len(people) * (len(models) + 1) + 1
    assert len({len(line) for line in lines}) == 1  # aligned
    assert lines[-1].split()[1:] == [
        *("40,000", "20,000,000", "10,000,000", "10,000,000", "200,000", "50.0%", "30,000,000"),
        *("1,990,000.0000", "5,000.0000", "-"),
    ]
    assert lines[1].startswith("user-199@example.com")


# What is asked


@pytest.mark.parametrize(
    ("given", "start", "end"),
    [
        ((), date(2026, 11, 1), TODAY),
        (("--from", "2026-09-15"), date(2026, 9, 15), TODAY),
        (("--to", "2026-10-20"), date(2026, 10, 1), date(2026, 10, 20)),
        (("--from", "2026-11-03", "--to", "2026-11-30"), date(2026, 11, 3), TODAY),  # no day after today has any
        (("--from", "2026-11-24", "--to", "2026-11-24"), TODAY, TODAY),
    ],
)
def test_days(run: Run, litellm: LiteLlm, given: tuple[str, ...], start: date, end: date) -> None:
    assert run(*given)[0] == 0
    assert litellm.asked == [("https://llm.dev.example.com", KEY), (start, end, "user")]


def test_where(run: Run, litellm: LiteLlm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_URL", "http://127.0.0.1:4000")
    run()
    run("--url", "http://127.0.0.1:4001")
    assert [url for url, _ in litellm.asked[::2]] == ["http://127.0.0.1:4000", "http://127.0.0.1:4001"]


# What can go wrong


def failed(result: tuple[int, str, str], code: int = 2) -> str:
    """The one sentence, with nothing on standard output."""
    assert result[:2] == (code, "")
    (sentence,) = (line for line in result[2].splitlines() if not line.startswith("usage: dev, "))
    assert sentence.startswith("usage: ")
    assert sentence.endswith(".")
    return sentence


def test_no_such_environment(run: Run) -> None:
    assert failed(run(env="nowhere")).startswith(
        "usage: there is no environment nowhere: company/environments.py has d"
    )


@pytest.mark.parametrize("days", [("--from", "2026-11-25"), ("--from", "2026-11-10", "--to", "2026-11-09")])
def test_no_such_days(run: Run, litellm: LiteLlm, days: tuple[str, ...]) -> None:
    assert "there is no day from 2026-11-" in failed(run(*days))
    assert not litellm.asked


@pytest.mark.parametrize("arguments", [("--from", "yesterday"), ("--format", "xml"), ("--by", "tag"), ("--days", "3")])
def test_arguments_that_are_none(run: Run, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2


def test_a_day_that_is_none_is_named(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--from", "2026-13-01")
    assert "argument --from: '2026-13-01' is no day: write it as 2026-11-30" in capsys.readouterr().err


def test_another_account(run: Run, account: Aws, litellm: LiteLlm) -> None:
    account.account = "999999999999"
    assert "these AWS credentials are of account 999999999999, but dev is in 111111111111" in failed(run())
    assert not litellm.asked


@pytest.mark.parametrize(
    ("operation", "code", "sentence"),
    [
        (
            "GetParameter",
            "ParameterNotFound",
            "there is no parameter /litellm/dev/USAGE_KEY: the deployment makes it, ",
        ),
        ("GetParameter", "AccessDeniedException", "these AWS credentials may not read /litellm/dev/USAGE_KEY: they ne"),
        ("GetParameter", "ThrottlingException", "AWS refused GetParameter (ThrottlingException): AWS takes no more re"),
        ("GetCallerIdentity", "ExpiredToken", "AWS refused GetCallerIdentity (ExpiredToken): the AWS credentials have"),
    ],
)
def test_aws_refuses(run: Run, account: Aws, litellm: LiteLlm, operation: str, code: str, sentence: str) -> None:
    account.refuse(operation, code)
    assert failed(run()).startswith(f"usage: {sentence}")
    assert not litellm.asked


def test_no_credentials(run: Run, account: Aws) -> None:
    account.failures["GetCallerIdentity"] = aws.NoCredentialsError()
    assert "there are no AWS credentials: set AWS_PROFILE" in failed(run())


@pytest.mark.parametrize("failure", [UnavailableError("LiteLLM slept"), RefusedError("LiteLLM would not")])
def test_litellm_does_not(run: Run, litellm: LiteLlm, failure: Exception) -> None:
    litellm.failure = failure
    assert failed(run()) == f"usage: {failure}."


def test_interrupted(run: Run, litellm: LiteLlm) -> None:
    litellm.failure = KeyboardInterrupt()
    assert failed(run(), 130) == "usage: interrupted."


def test_whoever_reads_has_seen_enough() -> None:
    """As with `| head`: no trace, whatever is left to print."""
    program = """
import sys
from datetime import date
from ops import usage as command
from tests.unit.ops.test_usage import LiteLlm, used
litellm = LiteLlm()
litellm.known = [used(f"user-{number}@example.com", "gpt-6-luna", 1) for number in range(20_000)]
command.LiteLlm, command.usage_key = litellm, lambda *_: ""
sys.exit(command.main(["--env", "dev", "--format", "csv"]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline().startswith("user,model,")
    process.stdout.close()
    assert re.fullmatch(r"usage: dev, .*\n", process.stderr.read())
    assert process.wait() == 0
