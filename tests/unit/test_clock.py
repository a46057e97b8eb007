"""tests/clock.py: nobody's clock is changed but a test's own."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stacks import CHECKOUT
from tests.clock import for_this_thread

CHANGES = re.compile(r"""(?:setattr|patch(?:\.object)?)\(\s*(?:["'][\w.]*\btime\.|[\w.]*\btime,\s*["'])""")
"""Something is put in the place of a function of `time`: by its name, or as the module's."""


def test_another_thread_has_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.monotonic
    for_this_thread(monkeypatch, monotonic=lambda: -1.0)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(time.monotonic).result() > 0
    assert time.monotonic() == -1.0
    monkeypatch.undo()
    assert time.monotonic is real


@pytest.mark.parametrize(
    "line", ['setattr(time, "sleep", x)', 'monkeypatch.setattr("usage.clouds.time.sleep", x)', 'patch("a.time.time")']
)
def test_a_change_is_seen(line: str) -> None:
    assert CHANGES.search(line)


def test_no_test_changes_everybodys() -> None:
    own = ("clock.py", "test_clock.py")
    files = [file for file in (CHECKOUT / "tests").rglob("*.py") if file.name not in own]
    assert [file.name for file in files if CHANGES.search(file.read_text("utf-8"))] == []
