"""Measures the gateway's request path beside other settings of LiteLLM: `make bench-gateway`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from ops.bench_gateway import configurations
from ops.bench_gateway.load import Generator, LoadError
from ops.bench_gateway.run import Run
from ops.bench_gateway.scale import FULL, QUICK
from ops.bench_gateway.servers import ServerError, Servers
from stacks.company import company


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench_gateway", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a trial of about two minutes")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--only", nargs="+", choices=configurations.NAMES, default=configurations.NAMES)
    arguments = parser.parse_args(argv)
    began = time.monotonic()

    def report(step: str) -> None:
        print(f"[{time.monotonic() - began:3.0f} s] {step}", file=sys.stderr, flush=True)

    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            names = tuple(each for each in configurations.NAMES if each in arguments.only)
            with Servers(folder, company(), names, report) as servers, Generator(folder / "load") as generator:
                run = Run(servers, generator, QUICK if arguments.quick else FULL, report)
                run.prepare()
                costs = run.costs()
    except (ServerError, LoadError, configurations.ConfigurationError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    figures = {
        name: {"idle": cost.idle, "afterwards": cost.afterwards} | {work: cost.cpu_ms(work) for work in cost.used}
        for name, cost in costs.items()
    }
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        for key in next(iter(figures.values())):
            print(f"{key:40}" + "".join(f"{figures[name][key]:12.3f}" for name in figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
