"""What LiteLLM reports of a failed call, without the texts that can quote a prompt."""

import asyncio
import importlib.util
import json
import logging
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MASKING = Path(__file__).parents[2] / "container" / "masking.py"
PROMPT = "a prompt that is nobody's business"


class FakeDataDogLogger:
    """Stands for LiteLLM's own: keeps what it would send."""

    def __init__(self) -> None:
        self.log_queue: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []

    async def async_send_batch(self) -> None:
        self.sent += self.log_queue


@pytest.fixture
def masking(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """The module, imported as LiteLLM does, on a stand-in for LiteLLM's callback."""
    for name in ("litellm", "litellm.integrations", "litellm.integrations.datadog"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    callback = types.ModuleType("datadog")
    callback.DataDogLogger = FakeDataDogLogger  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "litellm.integrations.datadog.datadog", callback)
    factory = logging.getLogRecordFactory()
    spec = importlib.util.spec_from_file_location("masking", MASKING)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    logging.setLogRecordFactory(factory)


def test_a_record_keeps_what_tells_failures_apart(masking: types.ModuleType) -> None:
    record = {
        "model": "claude",
        "error_str": PROMPT,
        "error_information": {"error_code": "400", "error_class": "BadRequestError", "error_message": PROMPT},
        "attempts": [{"traceback": PROMPT}],
        "exception": "",
    }
    masking.datadog.log_queue.append({"message": json.dumps(record), "service": "litellm-gateway"})
    asyncio.run(masking.datadog.async_send_batch())
    (sent,) = masking.datadog.sent
    message = json.loads(sent["message"])
    assert PROMPT not in sent["message"]
    assert message["model"] == "claude"
    assert message["error_information"] == {
        "error_code": "400",
        "error_class": "BadRequestError",
        "error_message": masking.MASK,
    }
    assert message["exception"] == ""


def _log(error: Exception, cause: Exception | None = None) -> logging.LogRecord:
    """The record of an error that is logged as LiteLLM logs it."""
    try:
        raise error from cause
    except Exception as caught:
        return logging.getLogRecordFactory()(
            "LiteLLM", logging.ERROR, __file__, 1, "Exception occured - %s", (caught,), sys.exc_info()
        )


@pytest.mark.parametrize(
    "record", [lambda: _log(ValueError(PROMPT)), lambda: _log(ValueError(f"of {PROMPT}"), KeyError(PROMPT))]
)
def test_a_log_line_has_class_and_place_instead_of_text(masking: types.ModuleType, record: Any) -> None:  # noqa: ANN401
    found = record()
    text = logging.Formatter().format(found)
    assert PROMPT not in text
    assert "Exception occured" in text
    assert "ValueError at" in text


def test_an_error_that_is_being_handled_is_masked_too(masking: types.ModuleType) -> None:
    try:
        raise ValueError(PROMPT)
    except ValueError as error:
        record = logging.getLogRecordFactory()("LiteLLM", logging.ERROR, __file__, 1, f"failed: {error}", (), None)
    assert PROMPT not in record.getMessage()


def test_the_text_of_a_lost_connection_stays(masking: types.ModuleType) -> None:
    text = logging.Formatter().format(_log(ConnectionRefusedError("no database at 10.0.0.1")))
    assert "no database at 10.0.0.1" in text


def test_a_line_without_an_error_stays(masking: types.ModuleType) -> None:
    record = logging.getLogRecordFactory()("LiteLLM", logging.ERROR, __file__, 1, "as %s", ("it is",), None)
    assert record.getMessage() == "as it is"
