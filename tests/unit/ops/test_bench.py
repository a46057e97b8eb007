"""ops/bench.py: what it tells of given figures, and how it measures a package. No time is asserted."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from unittest import mock

import pytest
from onboarding import slack_app
from usage.litellm import COLUMNS

from local.outside.slack_workspace import CALL_SECONDS, START_SECONDS
from ops import bench, bench_onboarding, bench_usage
from ops.bench import Figure
from stacks.constructs.python_function import BESIDE, LAMBDA

FIGURES = (Figure("cold import of onboarding.receiver", 412.3, "ms", 600), Figure("package, zipped", 1.94, "MB", 5))
COMPILED = shutil.ignore_patterns("__pycache__")  # others may be writing into it
MISSED = Figure("synthesis", 10.0, "s", 10)


def test_the_table_and_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.report(FIGURES, as_json=False) == 0
    assert capsys.readouterr().out == (
        "                                    measured       aim  holds\n"
        "cold import of onboarding.receiver    412 ms  < 600 ms    yes\n"
        "package, zipped                       1.9 MB    < 5 MB    yes\n"
    )


def test_a_missed_aim_is_told_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.report((*FIGURES, MISSED), as_json=False) == 1
    assert capsys.readouterr().out.splitlines()[-1].split() == ["synthesis", "10.0", "s", "<", "10", "s", "NO"]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.report((FIGURES[0], MISSED), as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == [
        {"name": "cold import of onboarding.receiver", "value": 412.3, "unit": "ms", "aim": 600, "holds": True},
        {"name": "synthesis", "value": 10.0, "unit": "s", "aim": 10, "holds": False},
    ]


def test_what_cannot_be_measured_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[Figure]:
        yield FIGURES[0]
        raise bench.BenchError("uv failed with code 1: no such package")

    monkeypatch.setattr(bench, "measure", broken)
    assert bench.main([]) == 2
    assert capsys.readouterr() == ("", "bench: uv failed with code 1: no such package\n")


def test_an_import_is_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "only_here.py").write_text("import os; assert os.environ['ONBOARDING'].startswith('{')")
    assert bench.import_time("only_here", tmp_path) > 0
    assert not (tmp_path / "__pycache__").exists()  # the next one is as cold


def test_an_import_that_fails_names_the_module_and_the_reason(tmp_path: Path) -> None:
    with pytest.raises(bench.BenchError) as error:
        bench.import_time("nowhere", tmp_path)
    assert str(error.value) == "nowhere failed with code 1: ModuleNotFoundError: No module named 'nowhere'"


def test_sizes(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "zeros").write_bytes(bytes(2_000_000))
    zipped, unzipped = bench.sizes(tmp_path)
    assert unzipped == 2
    assert 0 < zipped < 0.1


def test_every_function_is_measured() -> None:
    for package, handlers in bench.HANDLERS.items():
        files = (LAMBDA / package).glob("*.py")
        with_handler = {file.stem for file in files if re.search(r"^(def )?handler\b", file.read_text(), re.M)}
        assert with_handler == set(handlers)


def test_what_is_compiled_for_another_processor_is_left_out(tmp_path: Path) -> None:
    for name, pure in (("compiled", "false"), ("python", "true")):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nRoot-Is-Purelib: {pure}\n")
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n{name}/part.so,,\n")
        (tmp_path / name).mkdir()
        for file in ("__init__.py", "part.so"):
            (tmp_path / name / file).touch()
    bench.drop_compiled(tmp_path)
    assert [file.name for file in (tmp_path / "compiled").iterdir()] == []
    assert len(list((tmp_path / "python").iterdir())) == 2


@pytest.fixture
def onboarding(tmp_path: Path) -> Path:
    """A folder with the package; what it needs is this machine's."""
    for name in ("onboarding", *BESIDE["onboarding"]):
        shutil.copytree(LAMBDA / name, tmp_path / name, ignore=COMPILED)
    return tmp_path


def test_the_slash_command_is_measured_by_the_cpu_that_its_memory_brings(onboarding: Path) -> None:
    assert bench.command_time(onboarding, bench.VCPU_MEMORY) > 0
    # No time is asserted: half of the memory takes twice the time of one and the same measurement.
    with (
        mock.patch.object(bench, "_run", return_value="100"),
        mock.patch.object(bench_onboarding.Outside, "asked", bench_onboarding.ASKED),
    ):
        times = [bench.command_time(onboarding, memory) for memory in (1769 * 2, 1769, 1769 // 2)]
    assert [round(time) for time in times] == [100, 100, 200]


def test_a_command_that_asks_slack_for_more_before_the_form_is_not_measured(onboarding: Path) -> None:
    app = onboarding / "onboarding" / "slack_app.py"
    source = app.read_text()
    late = source.replace('lang = _languages.get(asker, "en")', "lang = _language(client, asker)")
    assert late != source
    app.write_text(late)
    with pytest.raises(bench.BenchError, match=r"^the slash command asked for .*users\.info, views\.open.* instead of"):
        bench.command_time(onboarding, bench.VCPU_MEMORY)


def test_the_simulated_slack_counts_with_the_aim() -> None:
    assert START_SECONDS == (bench.COMMAND_AIM + bench.LAMBDA_PART) / 1000
    assert slack_app.SLACK_TIMEOUT == CALL_SECONDS


def test_the_largest_report_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("usage", *BESIDE["usage"]):  # its packages are this machine's
        shutil.copytree(LAMBDA / name, tmp_path / name, ignore=COMPILED)
    monkeypatch.setattr(bench_usage, "USERS", 40)
    monkeypatch.setattr(bench_usage, "SEATS", 4)
    seconds, memory = bench.report_cost(tmp_path)
    assert seconds > 0
    assert 10 < memory < 1000


def test_every_pair_has_two_days_of_seven() -> None:
    week = [date(2026, 11, 16) + timedelta(days=number) for number in range(7)]
    rows = [len(list(bench_usage.export(day))) for day in week]
    assert sum(rows) == 2 * bench_usage.USERS * bench_usage.MODELS
    assert max(rows) - min(rows) <= 2
    columns = bench_usage.HEAD.split(",")
    assert {line.count(",") + 1 for line in islice(bench_usage.export(week[0]), 10)} == {len(columns)}
    assert set(COLUMNS) <= set(map(str.strip, columns))
