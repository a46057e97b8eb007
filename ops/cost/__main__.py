"""Prints what an environment costs a month: its templates, priced by part, at rest and under a load.

    make cost ENV=prod                                        # at rest, and with a million requests of 100 KB a month
    make cost ENV=prod ARGS="--requests 5e6 --kilobytes 400"  # with as much use as you expect
    make cost ARGS=--all                                      # a line for each environment, at rest
    make cost ENV=prod ARGS=--guidance                        # beside what AWS publishes of its own gateway
    make cost ENV=prod ARGS=--refresh                         # take the region's prices from AWS's price list first

The models come on top. Nothing is asked of AWS but with --refresh, whose role needs pricing:GetProducts.

Exit codes: 0 printed; 2 a mistake, a region without prices, or a price list that does not answer, in one sentence.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ops.access import OpsError, environment_named, run
from ops.cost import guidance, parts
from ops.cost.load import Load, of_requests
from ops.cost.parts import Line
from ops.cost.prices import Prices, prices_of
from ops.cost.refresh import refresh
from ops.cost.rest import at_rest_by_name, told
from ops.templates import Facts, synthesize
from stacks.company import company

REQUESTS, KILOBYTES = 1e6, 100.0
"""The load that is priced unless another one is asked for."""


def document(facts: Facts, prices: Prices, load: Load) -> dict[str, Any]:
    """All of it for another program: US dollars a month."""

    def told(lines: Sequence[Line]) -> list[dict[str, Any]]:
        return [
            {
                "part": line.part,
                "what": line.what,
                "price": prices.told(line.usage),
                "usd": prices.of(line.usage, line.quantity),
            }
            for line in lines
        ]

    spare = parts.independence(facts)
    return {
        "region": prices.region,
        "prices": {"as_of": prices.as_of, "source": prices.source},
        "load": load.name,
        "at_rest": told(parts.at_rest(facts)),
        "under_load": told(parts.under(facts, load)),
        "independence": [
            one | {"setting": setting}
            for one, (_, setting) in zip(told([line for line, _ in spare]), spare, strict=True)
        ],
        "without_price": parts.without_price(facts),
        "by_use": {kind: why for kind, why in parts.BY_USE.items() if facts.resources(kind)},
    }


def text(name: str, facts: Facts, prices: Prices, load: Load, *, beside: bool) -> Iterator[str]:
    """The lines that people read."""
    rest, use, spare = parts.at_rest(facts), parts.under(facts, load), parts.independence(facts)
    total = parts.dollars(rest, prices), parts.dollars(use, prices)
    yield f"{name}, {prices.region}: {total[0]:,.0f} USD a month at rest, {sum(total):,.0f} with {load.name}."
    yield f"List prices of {prices.as_of} ({prices.source}); the models come on top."
    for part in parts.PARTS:
        own = [line for line in (*rest, *use) if line.part == part]
        yield from ("", f"{part}: {parts.dollars(own, prices):,.2f}")
        for line in own:
            when = "" if line in rest else "  with that load"
            yield f"  {line.what:<36} {prices.of(line.usage, line.quantity):>10,.2f}   {prices.told(line.usage)}{when}"
    if spare:
        yield from ("", f"Only for independence: {parts.dollars([line for line, _ in spare], prices):,.2f} of it")
        for line, setting in spare:
            yield f"  {line.what:<36} {prices.of(line.usage, line.quantity):>10,.2f}   without: {setting}"
    yield from ("", "By use, beside the load above")
    yield from (f"  {kind:<36} {why}" for kind, why in parts.BY_USE.items() if facts.resources(kind))
    if unknown := parts.without_price(facts):
        yield from ("", f"Without a price here: {', '.join(unknown)}")
    if beside:
        yield from ("", *_beside(facts, load))


def _beside(facts: Facts, load: Load) -> Iterator[str]:
    """Part by part beside AWS's own gateway, in its region; ours as it is, and without what buys independence."""
    yield f"Beside the Guidance for Multi-Provider Generative AI Gateway on AWS, {guidance.REGION}, {load.name}"
    yield f"  {'':<28} {'published':>10} {'ours':>10} {'without independence':>22}"
    for one in guidance.compared(facts):
        yield f"  {one.part:<28} {one.published:>10,.2f} {one.ours:>10,.2f} {one.without_independence:>22,.2f}"


def _all(*, as_json: bool) -> int:
    found = at_rest_by_name(company().environments)
    print(json.dumps(found) if as_json else "\n".join(["USD a month at rest, beside the models:", *told(found)]))
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.cost", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--env", metavar="NAME", help="an environment of company/environments.py")
    parser.add_argument("--all", action="store_true", help="a line for each environment instead, at rest")
    parser.add_argument("--requests", type=float, default=REQUESTS, metavar="N", help="a month")
    parser.add_argument("--kilobytes", type=float, default=KILOBYTES, metavar="N", help="of one, prompt and answer")
    parser.add_argument("--guidance", action="store_true", help="with its load, and beside its price")
    parser.add_argument("--region", metavar="REGION", help="at the prices of another region than the environment's")
    parser.add_argument("--refresh", action="store_true", help="take the prices from AWS's price list first")
    parser.add_argument("--json", action="store_true", help="the same for another program")
    arguments = parser.parse_args(argv)

    def work() -> int:
        if arguments.all:
            return _all(as_json=arguments.json)
        if not arguments.env:
            raise OpsError("--env names the environment that is priced, or --all has a line for each.")
        environment = environment_named(arguments.env)
        if arguments.requests < 0 or arguments.kilobytes < 0:
            raise OpsError("--requests and --kilobytes are how much there is of them: give 0 or more.")
        region = arguments.region or environment.region
        if arguments.refresh:
            print(*refresh(region) or ["no price has changed"], sep="\n", file=sys.stderr)
        load = guidance.LOAD if arguments.guidance else of_requests(arguments.requests, arguments.kilobytes)
        facts, prices = Facts(synthesize(environment.name)), prices_of(region)
        if arguments.json:
            print(json.dumps(document(facts, prices, load), indent=2))
        else:
            print("\n".join(text(environment.name, facts, prices, load, beside=arguments.guidance)))
        return 0

    return run("cost", work)


if __name__ == "__main__":
    sys.exit(main())
