"""LiteLLM is the oracle: what it makes of each file of the corpus, what the reader does, and what is expected of both.

`corpus/` has a file for each case, named by what it shows, and `expected.yaml` what becomes of it: `litellm` (it loads,
it drops the entries that are named, or it fails with what it says), and of the reader `refuses` or `warns`, with every
sentence; neither if it passes. A version of LiteLLM that changes a verdict fails here with the names of the files.
"""

import copy
import functools
import json
import os
import subprocess
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks import CHECKOUT
from stacks.litellm_config import CATALOG, SERVED_AS, ConfigError, LiteLlmConfig, load_config
from tests.unit.litellm_config.documents import ALL_VARIABLES, SERVERS

HERE = Path(__file__).parent
CORPUS = {file.stem: file for file in sorted((HERE / "corpus").glob("*.yaml"))}
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "expected.yaml").read_text("utf-8"))
PYTHON = CHECKOUT / ".tools/litellm/bin/python"
REGION = "us-west-2"
WARMING = CORPUS["whole-smallest"]

ADVICE = (
    "add affinity.conversations to",
    "write os.environ/MAX_IN_FLIGHT_REQUESTS there",
    "disable_budget_reservation: it is not true",
    "apply_user_budget_to_team_keys: it is not true",
    "budget_exceeded_status_code: it is not 400",
    "there is no budgets.refusals",
    "there is no masking.datadog",
    "disable_cooldowns: it is not true",
    "expose_router_debug_in_errors: it is not false",
    "there is no errors.told",
)
"""What every file is told that comes from elsewhere, in words of the sentences: `test_litellm_config.py` has them."""

NOT_BY_TOKENS = frozenset(
    {"provider-ollama", "entry-price-of-nothing", "entry-price-of-seconds", "bedrock-image", "bedrock-rerank-by-arn"}
)
"""Cases whose tokens cost nothing, though they have a price."""


def read(name: str) -> LiteLlmConfig:
    """The file, as the reader has it."""
    return load_config(CORPUS[name], provided=ALL_VARIABLES, region=REGION, servers=SERVERS)


@functools.cache
def answers() -> dict[str, dict[str, Any]]:
    """What LiteLLM makes of each file: one process for all, in which nothing can be reached."""
    variables = {
        **SERVED_AS,
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "AWS_REGION": REGION,
        "LITELLM_MASTER_KEY": "sk-0123456789abcdef",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LOGS_API_KEY": "a-secret",  # in a header of an MCP server, without which LiteLLM does not start
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),  # nobody listens there
    }
    command = [str(PYTHON), str(HERE / "oracle.py"), *map(str, (WARMING, *CORPUS.values()))]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    return {name: found[str(file)] for name, file in CORPUS.items()}


def verdict(name: str, answer: dict[str, Any]) -> str:
    """What LiteLLM does with a file, in the words of the table."""
    if "fails" in answer:
        return f"fails: {answer['fails']}"
    entries = yaml.safe_load(CORPUS[name].read_text("utf-8"))["model_list"]
    dropped = Counter(entry["model_name"] for entry in entries) - Counter(answer["models"])
    return f"drops {', '.join(sorted(dropped.elements()))}" if dropped else "loads"


def found(name: str) -> dict[str, list[str]]:
    """What the reader says of a file, by what it does."""
    try:
        what, said = "warns", list(read(name).warnings)
    except ConfigError as error:
        what, said = "refuses", str(error).splitlines()
    version = json.loads(CATALOG.read_text("utf-8"))["litellm"]
    told = [
        line.removeprefix(f"{CORPUS[name]}: ").replace(f"LiteLLM {version}", "LiteLLM VERSION")
        for line in said
        if not any(each in line for each in ADVICE)
    ]
    return {what: told} if told else {}


SHAPES: list[object] = [None, 7, [{"a": [None]}], {"a": {1: "b"}}, date(2026, 12, 1)]


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_whatever_stands_anywhere_is_answered_in_sentences(tmp_path: Path, shape: object) -> None:
    """Each file with another value in one of its places, which place depends on its name."""
    path = tmp_path / "config.yaml"
    for name, file in CORPUS.items():
        document = yaml.safe_load(file.read_text("utf-8"))
        places = list(_places(document))
        container, key = places[zlib.crc32(f"{name}{shape!r}".encode()) % len(places)]
        container[key] = copy.deepcopy(shape)
        path.write_text(yaml.safe_dump(document), "utf-8")
        try:
            load_config(path, provided=ALL_VARIABLES, region=REGION, servers=SERVERS)
        except ConfigError as error:
            assert [line for line in str(error).splitlines() if not line.startswith(f"{path}: ")] == [], name


def _places(value: object) -> Iterator[tuple[Any, Any]]:
    """Every place below a value: what holds it, and by which key or position."""
    if isinstance(value, dict | list):
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(item)


def test_the_table_has_every_case() -> None:
    assert list(EXPECTED) == list(CORPUS)


@pytest.mark.parametrize("name", CORPUS)
def test_the_reader_says_what_is_expected(name: str) -> None:
    assert found(name) == {key: value for key, value in EXPECTED[name].items() if key != "litellm"}


@pytest.mark.skipif(not PYTHON.exists(), reason="LiteLLM is not installed in .tools/litellm; `make setup` installs it")
def test_litellm_does_what_is_expected() -> None:
    verdicts = {name: verdict(name, answer) for name, answer in answers().items()}
    changed = {
        name: f"{said[:200]!r}, and not {EXPECTED[name]['litellm']!r}"
        for name, said in verdicts.items()
        if said != EXPECTED[name]["litellm"] and not _fails_so(said, EXPECTED[name]["litellm"])
    }
    assert not changed


@pytest.mark.skipif(not PYTHON.exists(), reason="LiteLLM is not installed in .tools/litellm; `make setup` installs it")
def test_what_litellm_cannot_load_is_refused() -> None:
    lost = {name for name, answer in answers().items() if verdict(name, answer) != "loads"}
    assert not {name for name in lost if "refuses" not in found(name)}


@pytest.mark.skipif(not PYTHON.exists(), reason="LiteLLM is not installed in .tools/litellm; `make setup` installs it")
def test_a_price_is_known_to_the_reader_if_litellm_knows_one() -> None:
    known = {
        name: [bool(price) for price in answer["prices"]] for name, answer in answers().items() if "prices" in answer
    }
    accepted = [name for name in known if "refuses" not in EXPECTED[name] and name not in NOT_BY_TOKENS]
    assert {name: [model.is_priced() for model in read(name).models] for name in accepted} == {
        name: known[name] for name in accepted
    }


def _fails_so(said: str, expected: str) -> bool:
    return expected.startswith("fails: ") and said.startswith(expected)
