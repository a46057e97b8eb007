"""Measures what people wait for: `make bench`, with `--json` for machines.

- The functions' cold imports, from packages that are made as the deployed ones are, without bytecode: Lambda's file
  system is read-only, so that every cold start compiles it. boto3 is this machine's, as it is the runtime's there, and
  so is what the package has compiled for Lambda's processor.
- The slash command's whole cold start, with the CPU that the function's memory brings. Slack waits for 3 s.
- The size of these packages.
- The report of a week of 10,000 users on 50 models: how long it takes, and its memory.
- The synthesis of every environment, with and without the rules (cdk-nag's and CloudFormation's), and by the CDK CLI.

Times are those of this machine, while it does nothing else. A test checks the table and the exit code, and no time.

Exit codes: 0 every aim holds; 1 one does not; 2 something could not be measured, in one sentence.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ops import bench_onboarding, bench_usage
from stacks import CHECKOUT
from stacks.company import EXAMPLE, load
from stacks.constructs.python_function import LAMBDA, BundlingError, bundle
from stacks.onboarding import RECEIVER_MEMORY

CDK: Final = CHECKOUT / "node_modules" / "aws-cdk" / "bin" / "cdk"

HANDLERS: Final = {"onboarding": ("receiver", "worker", "sweep", "bounces"), "usage": ("report", "bill")}
IMPORTS: Final = 7  # fresh processes each, of which the median counts

# Aims. Slack wants an answer of onboarding's within 3 s: `COMMAND_AIM` of the processor, and `LAMBDA_PART` for Lambda's
# own start and for what is waited for in init, leave a second for the call that opens the form. The others are twice
# what was measured when they were set, so that a package or a synthesis does not grow unnoticed.
VCPU_MEMORY: Final = 1769  # MB, of one vCPU: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
COMMAND_AIM: Final = 1200  # ms
LAMBDA_PART: Final = 600  # ms
IMPORT_AIM: Final = {"onboarding": 600, "usage": 2000}  # ms
ZIPPED_AIM: Final = {"onboarding": 5, "usage": 30}  # MB
UNZIPPED_AIM: Final = {"onboarding": 15, "usage": 90}  # MB
# A month is 4.4 weeks and the function has 900 s, of which this leaves half for LiteLLM and Slack, which answer here at
# once. The memory hardly grows with the days: half of the function's 2048 MiB.
REPORT_AIM: Final = 100  # s
MEMORY_AIM: Final = 1024  # MiB
SYNTH_AIM: Final = 10  # s, without the rules
RULES_AIM: Final = 20  # s, with the rules
CLI_AIM: Final = 25  # s


class BenchError(Exception):
    """Something could not be measured, in one sentence."""


@dataclass(frozen=True)
class Figure:
    """One measurement, and what it must stay below."""

    name: str
    value: float
    unit: str
    aim: float

    @property
    def holds(self) -> bool:
        """Whether the aim is met."""
        return self.value < self.aim


# --- Measuring ------------------------------------------------------------------------------------------------------


def import_time(module: str, folder: Path) -> float:
    """Milliseconds that a fresh process needs to import a module from a package.

    Raises
    ------
    BenchError
        It cannot be imported.
    """
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); start = time.perf_counter(); "
        "__import__(sys.argv[2]); print((time.perf_counter() - start) * 1000)"
    )
    environment = load(EXAMPLE).environments["dev"]
    assert environment.onboarding  # noqa: S101 - dev has it; what is measured is the same in each environment
    variables = {
        "AWS_DEFAULT_REGION": environment.region,
        "ONBOARDING": environment.onboarding.model_dump_json(),
        "PARAMETER_PREFIX": environment.parameter_prefix,
        "POWERTOOLS_SERVICE_NAME": "onboarding",
        "QUEUE_URL": "https://sqs.invalid/queue.fifo",
        "TABLE_NAME": "onboarding",
    }
    return float(_run([sys.executable, "-c", code, folder, module], variables))


def sizes(folder: Path) -> tuple[float, float]:
    """Megabytes (of 10**6 bytes) of a folder's files, zipped and not."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    with tempfile.TemporaryFile() as stream:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(folder))
        zipped = stream.tell()
    return zipped / 1e6, sum(file.stat().st_size for file in files) / 1e6


def drop_compiled(folder: Path) -> None:
    """Remove from a package's folder what was installed for Lambda's processor: this machine's is found instead."""
    for installed in importlib.metadata.distributions(path=[str(folder)]):
        if "Root-Is-Purelib: true" not in (installed.read_text("WHEEL") or ""):
            for file in installed.files or ():
                Path(str(installed.locate_file(file))).unlink(missing_ok=True)


def command_time(folder: Path, memory: int) -> float:
    """Milliseconds from a cold start to the answer to a slash command, with the CPU that so many MB of memory bring.

    Raises
    ------
    BenchError
        It failed, or asked Slack for something before the form was opened.
    """
    with bench_onboarding.Outside() as outside:
        milliseconds = float(
            _run([sys.executable, "-c", bench_onboarding.PROGRAM, folder, outside.url], outside.variables)
        )
        asked, expected = outside.asked, bench_onboarding.ASKED
        if asked != expected:
            raise BenchError(f"the slash command asked for {', '.join(asked)} instead of {', '.join(expected)}")
    return milliseconds / min(1, memory / VCPU_MEMORY)


def report_cost(folder: Path) -> tuple[float, float]:
    """Seconds and MiB that the largest report needs, in a fresh process, from a package.

    Raises
    ------
    BenchError
        It failed, or left something out.
    """
    with bench_usage.Outside() as outside:
        command: list[str | Path] = [sys.executable, "-c", bench_usage.PROGRAM, folder, outside.url]
        seconds, kibibytes = _run(command, outside.variables).splitlines()[-1].split()
        expected = bench_usage.USERS * bench_usage.MODELS
        if outside.pairs != expected:
            raise BenchError(f"the report's table has {outside.pairs} rows instead of {expected}")
    return float(seconds), float(kibibytes) / 1024


def synth_time(*, rules: bool) -> float:
    """Seconds that `python app.py` needs for the templates of every deployed environment."""
    context = json.loads((CHECKOUT / "cdk.json").read_text())["context"]  # which the CDK CLI hands over otherwise
    with tempfile.TemporaryDirectory() as out:
        variables = {"CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": out}
        return _seconds([sys.executable, "app.py"], variables | ({} if rules else {"CDK_VALIDATION": "false"}))


def cli_time() -> float:
    """Seconds that `cdk synth` needs for the same, with the rules."""
    with tempfile.TemporaryDirectory() as out:
        return _seconds(["node", CDK, "synth", "--quiet", "--no-notices", "--output", out], {})


def measure() -> Iterator[Figure]:
    """Every figure, one after another, so that none is measured while another runs.

    Raises
    ------
    BenchError
        Something could not be measured.
    """
    for package, handlers in HANDLERS.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            bundle(LAMBDA / package, folder)
            zipped, unzipped = sizes(folder)
            yield Figure(f"package {package}, zipped", zipped, "MB", ZIPPED_AIM[package])
            yield Figure(f"package {package}, unzipped", unzipped, "MB", UNZIPPED_AIM[package])
            drop_compiled(folder)
            for handler in handlers:
                times = [import_time(f"{package}.{handler}", folder) for _ in range(IMPORTS)]
                yield Figure(f"cold import of {package}.{handler}", statistics.median(times), "ms", IMPORT_AIM[package])
            if "receiver" in handlers:
                times = [command_time(folder, RECEIVER_MEMORY) for _ in range(IMPORTS)]
                yield Figure("cold start of the slash command", statistics.median(times), "ms", COMMAND_AIM)
            if "report" in handlers:
                seconds, memory = report_cost(folder)
                yield Figure("a week's report, 10,000 users on 50 models", seconds, "s", REPORT_AIM)
                yield Figure("memory of that report", memory, "MiB", MEMORY_AIM)
    yield Figure("synthesis without the rules", synth_time(rules=False), "s", SYNTH_AIM)
    yield Figure("synthesis with the rules", synth_time(rules=True), "s", RULES_AIM)
    yield Figure("cdk synth", cli_time(), "s", CLI_AIM)


def _run(command: Sequence[str | Path], variables: Mapping[str, str] | None = None) -> str:
    """What a command prints, run in the checkout; its own error's last line says why it failed."""
    inherited = {name: value for name, value in os.environ.items() if name != "CDK_VALIDATION"}
    bytecode = {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(  # noqa: S603 - the commands are above
        command,
        cwd=CHECKOUT,
        env=inherited | bytecode | dict(variables or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        what = str(command[-1]) if command[0] == sys.executable else Path(command[0]).name
        reason = (done.stderr.strip() or done.stdout.strip() or "no word why").splitlines()[-1]
        raise BenchError(f"{what} failed with code {done.returncode}: {reason}")
    return done.stdout


def _seconds(command: Sequence[str | Path], variables: Mapping[str, str]) -> float:
    start = time.perf_counter()
    _run(command, variables)
    return time.perf_counter() - start


# --- Telling --------------------------------------------------------------------------------------------------------


def table(figures: Iterable[Figure]) -> str:
    """One line a figure: what, how much, its aim, and whether that holds."""
    rows = [
        (
            figure.name,
            _amount(figure.value, figure.unit),
            f"< {figure.aim:g} {figure.unit}",
            "yes" if figure.holds else "NO",
        )
        for figure in figures
    ]
    heads = ("", "measured", "aim", "holds")
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    first, *others = widths
    return "\n".join(
        "  ".join((name.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, others, strict=True)))).rstrip()
        for name, *cells in (heads, *rows)
    )


def _amount(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if unit in ("ms", "MiB") else f"{value:.1f} {unit}"


def report(figures: Sequence[Figure], *, as_json: bool) -> int:
    """Print the figures, and return the exit code."""
    if as_json:
        print(json.dumps([vars(figure) | {"holds": figure.holds} for figure in figures], indent=2))
    else:
        print(table(figures))
    return 0 if all(figure.holds for figure in figures) else 1


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")
    arguments = parser.parse_args(argv)
    try:
        return report(list(measure()), as_json=arguments.json)
    except (BenchError, BundlingError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
