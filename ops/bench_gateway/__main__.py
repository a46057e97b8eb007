"""Measures the gateway's request path beside other settings of LiteLLM: `make bench-gateway`.

Exit codes: 0 every aim holds; 1 one does not; 2 something could not be measured, in one sentence; 130 it was ended.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from local.postgres import PostgresError
from ops.bench_gateway import configurations, machine, page
from ops.bench_gateway.chart import chart
from ops.bench_gateway.figures import Figure, aims
from ops.bench_gateway.load import Generator, LoadError
from ops.bench_gateway.run import Run
from ops.bench_gateway.scale import FULL, QUICK, Scale
from ops.bench_gateway.servers import Report, ServerError, Servers
from stacks.company import company
from stacks.litellm_config import ConfigError
from stacks.measured import FILE
from stacks.settings import SettingsError

ENDING: Final = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED: Final = 130


def measure(scale: Scale, names: tuple[str, ...], report: Report) -> list[Figure]:
    """Start everything, measure, and end everything, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with Servers(folder, company(), names, report) as servers, Generator(folder / "load") as generator:
            servers.also_end(generator.process_group)
            return Run(servers, generator, scale, report).measure()


def tell(figures: Sequence[Figure], *, words: str, as_json: bool, write: bool) -> int:
    """Print the figures, keep them in the documentation if that is asked for, and return the exit code."""
    kept = aims(figures)
    if write:
        page.write(f"{words}\n\n{page.tables(figures, kept)}", chart(figures), model=FILE)
    if as_json:
        told = [dataclasses.asdict(aim) | {"holds": aim.holds} for aim in kept]
        print(json.dumps({"run": words, "figures": list(map(dataclasses.asdict, figures)), "aims": told}, indent=1))
    else:
        print(f"{words}\n\n{page.tables(figures, kept)}")
    return 0 if all(aim.holds for aim in kept) else 1


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench_gateway", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a trial with few requests")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--write", action="store_true", help="write tables and chart into docs/performance.md")
    parser.add_argument("--memory", type=int, metavar="REQUESTS", help="over which the memory is watched: 10000")
    parser.add_argument(
        "--only", nargs="+", choices=configurations.NAMES, default=configurations.NAMES, help="which settings to run"
    )
    arguments = parser.parse_args(argv)
    scale = QUICK if arguments.quick else FULL
    if arguments.memory:
        scale = dataclasses.replace(scale, memory=arguments.memory)
    began = time.monotonic()

    def report(step: str) -> None:
        print(f"[{time.monotonic() - began:3.0f} s] {step}", file=sys.stderr, flush=True)

    for number in ENDING:
        signal.signal(number, _interrupt)
    names = tuple(each for each in configurations.NAMES if each in arguments.only)
    try:
        figures = measure(scale, names, report)
        return tell(figures, words=machine.words(quick=arguments.quick), as_json=arguments.json, write=arguments.write)
    except KeyboardInterrupt:
        print("bench: ended, with all that it had started", file=sys.stderr)
        return INTERRUPTED
    except (
        *(configurations.ConfigurationError, ConfigError, LoadError, page.PageError, PostgresError, ServerError),
        *(SettingsError, OSError),
    ) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


def _interrupt(*_: object) -> NoReturn:
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)  # what was started is being ended: once is enough
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
