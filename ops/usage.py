"""Prints who used which model, how many tokens, at what cost: `make usage ENV=dev FROM=2026-11-01 TO=2026-11-30`.

The figures are LiteLLM's own: a row per user (or team) and model, by the name that people ask for, the dearest first. A
prompt's tokens are all of it, those too that were read from the provider's cache (`cached`) or written to it; the hit
rate is the share that was read. Cost and what the cache saved, net of what writing to it costs, are in US dollars; what
it saved is reckoned by lambda/usage/cache_prices.py, and empty where the price is not known. Who hardly caches a model
that caches only what is marked could save something, as lambda/usage/caching.py reckons: in the table what is likely,
or after a < the most, where nobody caches yet. The table and JSON have totals; CSV has the rows alone, for a
spreadsheet to sum. Standard output has only the data. Days are those of UTC, both included; without them, the current
month so far. Failed calls are not in the figures.

It asks the environment's public URL, or another by `--url` or LITELLM_URL, from an address of the environment's
`ingress.management_cidrs`, with the key USAGE_KEY, which the deployment made. Integrates with LiteLLM
(lambda/usage/litellm.py), AWS Systems Manager Parameter Store and AWS STS, through boto3's own credentials and settings
(AWS_PROFILE, AWS_ENDPOINT_URL, …).

Exit codes: 0 printed; 2 a mistake or an error, in one sentence; 130 interrupted.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, TextIO

import boto3
from botocore import exceptions as aws

from ops.access import OpsError, connect, environment_named, run
from stacks.settings import Environment

sys.path.insert(0, str(Path(__file__).parents[1] / "lambda"))
from usage.cache_prices import CachePrices
from usage.caching import Gain, gains
from usage.errors import RefusedError, UnavailableError
from usage.figures import Sum
from usage.litellm import By, LiteLlm, Usage

KEY: Final = "USAGE_KEY"
HEADINGS: Final = (
    *("user", "model", "requests", "prompt", "completion", "cached", "written", "hit rate", "total tokens"),
    *("cost (USD)", "saved (USD)", "could save"),
)
NOBODY: Final = "(none)"  # for what LiteLLM knows no user or team of, in the table
NOTHING: Final = "-"  # for what could not be saved, in the table
UNKNOWN: Final = "unknown"  # for what is saved at prices that LiteLLM does not know, in the table
MONEY: Final = ("cost", "saved")
COULD_SAVE: Final = ("could_save", "could_save_at_most")  # of a row: in the period, by caching what is not cached
COST_DIGITS: Final = 10  # of a dollar's fraction, which a token's price has at most


@dataclass(frozen=True)
class Period:
    """Days of UTC, both included."""

    start: date
    end: date

    def __str__(self) -> str:
        return f"{self.start} to {self.end} (UTC)"


@dataclass(frozen=True)
class Used:
    """Sums by user (or team) and model, all of it sorted by cost, and who and what is named where costs are equal."""

    by: By
    period: Period
    rows: Mapping[str, Mapping[str, Sum]]
    sums: Mapping[str, Sum]
    total: Sum
    gains: Mapping[tuple[str, str], Gain]  # by who and model


def collect(usages: Iterable[Usage], by: By, period: Period, prices: Mapping[str, CachePrices]) -> Used:
    """Sum what LiteLLM has of each day and deployment; `prices` are those of the models' caches."""
    found: dict[str, dict[str, Sum]] = {}
    for usage in usages:
        found.setdefault(usage.who, {}).setdefault(usage.model, Sum()).add(usage)
    sums = {who: _summed(models.values()) for who, models in found.items()}
    return Used(
        by=by,
        period=period,
        rows={who: _by_cost(found[who]) for who in _by_cost(sums)},
        sums=sums,
        total=_summed(sums.values()),
        gains={(gain.who, gain.model): gain for gain in gains(found, prices)},
    )


def _summed(all_sums: Iterable[Sum]) -> Sum:
    result = Sum()
    for sums in all_sums:
        result.add(sums)
    return result


def _by_cost(sums: Mapping[str, Sum]) -> dict[str, Sum]:
    return dict(sorted(sums.items(), key=lambda item: (-item[1].cost, item[0])))


def figures(sums: Sum) -> dict[str, int | float | None]:
    """Return all of them by name, money without the dust of adding fractions; None is not known."""
    saved = sums.known_saving
    return {
        "requests": sums.requests,
        "prompt_tokens": sums.prompt_tokens,
        "completion_tokens": sums.completion_tokens,
        "cached_tokens": sums.cached_tokens,
        "cache_write_tokens": sums.cache_write_tokens,
        "hit_percent": round(sums.hit_percent, 2),
        "total_tokens": sums.tokens,
        "cost": round(sums.cost, COST_DIGITS),
        "saved": saved if saved is None else round(saved, COST_DIGITS),
    }


# --- Formats --------------------------------------------------------------------------------------------------------


def write_table(used: Used, out: TextIO) -> None:
    """Aligned columns, and under each user's models their total."""
    widths = [0] * len(HEADINGS)
    for line in _lines(used):
        widths = [max(width, len(cell)) for width, cell in zip(widths, line, strict=True)]
    for line in _lines(used):
        names = "  ".join(f"{cell:{width}}" for cell, width in zip(line[:2], widths[:2], strict=True))
        figures = "  ".join(f"{cell:>{width}}" for cell, width in zip(line[2:], widths[2:], strict=True))
        out.write(f"{names}  {figures}\n")


def _lines(used: Used) -> Iterator[tuple[str, ...]]:
    yield (used.by, *HEADINGS[1:])
    for who, models in used.rows.items():
        for model, sums in models.items():
            yield (who or NOBODY, model, *_cells(sums), _could_save(used.gains.get((who, model))))
        yield (who or NOBODY, "total", *_cells(used.sums[who]), NOTHING)
    yield ("total", "", *_cells(used.total), NOTHING)


def _cells(sums: Sum) -> Iterator[str]:
    for name, figure in figures(sums).items():
        if figure is None:
            yield UNKNOWN
        elif name in MONEY:
            yield _money(figure)
        else:
            yield f"{figure:.1f}%" if name == "hit_percent" else f"{figure:,}"


def _money(amount: float) -> str:
    """Four decimals, and what is less than they show not as nothing."""
    if 0 < abs(amount) < 0.00005:
        return "<0.0001" if amount > 0 else ">-0.0001"
    return f"{amount:,.4f}"


def _could_save(gain: Gain | None) -> str:
    if gain is None:
        return NOTHING
    return f"<{gain.at_most:,.2f}" if gain.likely is None else f"{gain.likely:,.2f}"


def write_csv(used: Used, out: TextIO) -> None:
    """A line per user and model, under the names of the columns."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((used.by, "model", *figures(used.total), *COULD_SAVE))
    for who, models in used.rows.items():
        for model, sums in models.items():
            cells = (
                f"{value:.{COST_DIGITS}f}" if name in MONEY and value is not None else value
                for name, value in figures(sums).items()
            )
            writer.writerow((_no_formula(who), model, *cells, *_both(used.gains.get((who, model))).values()))


def _both(gain: Gain | None) -> dict[str, float | None]:
    """What could be saved, likely and at most, by name; None is not known, or nothing to tell."""
    likely = None if gain is None or gain.likely is None else float(gain.likely)
    return dict(zip(COULD_SAVE, (likely, None if gain is None else float(gain.at_most)), strict=True))


def _no_formula(text: str) -> str:
    """A text that no spreadsheet takes for a formula. https://owasp.org/www-community/attacks/CSV_Injection."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def write_json(used: Used, out: TextIO) -> None:
    """One object, a line per user: each with its total and its models."""
    head = {"from": str(used.period.start), "to": str(used.period.end), "total": figures(used.total)}
    out.write(f'{json.dumps(head)[:-1]}, "{used.by}s": [')
    separator = "\n"
    for who, models in used.rows.items():
        own = [
            {"model": model, **figures(sums), **_both(used.gains.get((who, model)))} for model, sums in models.items()
        ]
        entry = {used.by: who, **figures(used.sums[who]), "models": own}
        out.write(separator + json.dumps(entry, ensure_ascii=False))
        separator = ",\n"
    out.write("\n]}\n")


FORMATS: Final[Mapping[str, Callable[[Used, TextIO], None]]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
}


# --- The command ----------------------------------------------------------------------------------------------------


def period_of(start: date | None, end: date | None, today: date) -> Period:
    """The days that are meant: up to today, and from the first of the last one's month if no other is given.

    Raises
    ------
    OpsError
        There is no such day.
    """
    last = min(end or today, today)
    first = start or last.replace(day=1)
    if first > last:
        raise OpsError(
            f"there is no day from {first} to {last}: give --from a day that is not after --to, nor after today "
            f"({today} in UTC)."
        )
    return Period(first, last)


def usage_key(environment: Environment, session: boto3.Session | None) -> str:
    """The key that the deployment made for these figures.

    Raises
    ------
    OpsError
        There is none, or these AWS credentials may not read it, or are of another account.
    """
    name = environment.parameter(KEY)
    ssm = connect(environment, session).session.client("ssm")
    try:
        return str(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
    except aws.ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        if code == "ParameterNotFound":
            raise OpsError(
                f"there is no parameter {name}: the deployment makes it, where the environment has report or bill in "
                f"company/environments.py (make deploy ENV={environment.name})."
            ) from None
        if code == "AccessDeniedException":
            raise OpsError(f"these AWS credentials may not read {name}: they need ssm:GetParameter on it.") from None
        raise


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: write it as 2026-11-30") from None


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.usage", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
    result.add_argument("--from", dest="start", type=_day, metavar="DAY", help="the first day; else the month's first")
    result.add_argument("--to", dest="end", type=_day, metavar="DAY", help="the last day; else today")
    result.add_argument("--format", choices=FORMATS, default="table", help="how it is printed (table)")
    result.add_argument("--by", choices=("user", "team"), default="user", help="whose usage (user)")
    result.add_argument("--url", help="where LiteLLM answers; else LITELLM_URL, else the environment's public URL")
    return result


def report(arguments: argparse.Namespace, session: boto3.Session | None) -> None:
    """Ask, and print what was asked for."""
    environment = environment_named(arguments.env)
    period = period_of(arguments.start, arguments.end, datetime.now(UTC).date())
    url = arguments.url or os.environ.get("LITELLM_URL") or f"https://{environment.domain}"
    litellm = LiteLlm(url, usage_key(environment, session))
    print(f"usage: {environment.name}, {period}, from {url}", file=sys.stderr)
    usages = litellm.usage(period.start, period.end, by=arguments.by)
    used = collect(usages, arguments.by, period, litellm.cache_prices())
    if not used.rows:
        print("usage: nothing was used on these days, or LiteLLM, once a minute, has yet to write it", file=sys.stderr)
    FORMATS[arguments.format](used, sys.stdout)
    sys.stdout.flush()


def main(argv: list[str] | None = None, *, session: boto3.Session | None = None) -> int:
    """Run the command and return its exit code. Tests give the session."""
    arguments = parser().parse_args(argv)

    def work() -> int:
        try:
            report(arguments, session)
        except BrokenPipeError:  # whoever reads has seen enough; Python must not complain of it at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except (UnavailableError, RefusedError) as error:
            raise OpsError(f"{error}.") from error
        return 0

    return run("usage", work)


if __name__ == "__main__":
    sys.exit(main())
