"""What LiteLLM does with totals of people and keys that it could not write: what entrypoint.sh and an alarm are for.

A later version that puts them back in every case, or says so in other words, is seen here.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from stacks import CHECKOUT
from stacks.observability.log_insights import SPEND_DROPPED

ALONE, SHARED = "_commit_spend_updates_to_db_without_redis_buffer", "_commit_spend_updates_to_db_with_redis"
WRITE = "_commit_spend_updates_to_db"


@pytest.fixture(scope="module")
def source() -> str:
    """The source of LiteLLM's writer of spend."""
    package = CHECKOUT / ".tools" / "litellm" / "lib"
    if not package.exists():
        pytest.skip("LiteLLM is not installed in .tools/litellm; `make setup` installs it")
    (file,) = package.glob("python*/site-packages/litellm/proxy/db/db_spend_update_writer.py")
    return Path(file).read_text("utf-8")


def caught(source: str, name: str) -> list[bool]:
    """Of each time that a method writes totals, whether it does something about a failure."""
    (method,) = (each for each in ast.walk(ast.parse(source)) if getattr(each, "name", "") == name)
    tried = {id(inner) for each in ast.walk(method) if isinstance(each, ast.Try) for inner in ast.walk(each)}
    calls = (each for each in ast.walk(method) if isinstance(each, ast.Call))
    return [id(call) in tried for call in calls if getattr(call.func, "attr", "") == WRITE]


def test_they_are_lost_without_a_redis_and_put_back_with_one(source: str) -> None:
    assert caught(source, ALONE) == [False]
    assert caught(source, SHARED) == [True]
    (decided,) = re.findall(r"^def _spend_tables_left_to_send\(", source, re.MULTILINE)
    assert decided


def test_the_alarms_words_are_litellms(source: str) -> None:
    place, dropped = re.findall(r'\?"([^"]+)"', SPEND_DROPPED)
    assert place == f"in {ALONE}"  # as a traceback has it
    assert f"async def {ALONE}(" in source
    assert f'"{dropped} ' in source
