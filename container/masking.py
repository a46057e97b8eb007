"""Keeps prompts out of what LiteLLM reports of failed calls, to Datadog and to its own log.

`turn_off_message_logging` empties prompts and answers, but not the texts of errors, and those can quote a prompt:
LiteLLM itself repeats a message that it cannot read ("Invalid Message passed in {…}"), and so may a provider. What is
kept is what tells failures apart: the error's class, its status, the provider and the model.

config.yaml names `masking.datadog` as a callback; LiteLLM imports this module from the folder of the file.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from litellm.integrations.datadog.datadog import DataDogLogger

MASK = "(not logged: an error's text can quote a prompt)"
# Where LiteLLM puts an error's text into a record, in the order of its two kinds of records.
ERROR_TEXTS = ("error_str", "error_message", "exception", "traceback")
# Errors of the gateway's own connections, whose texts an operator needs and in which no prompt can be.
PLAIN_MODULES = ("prisma", "httpx", "httpcore", "psycopg", "redis", "ssl", "socket", "asyncio")


def masked(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the record without the texts of errors, however deep they are."""
    if isinstance(value, dict):
        return {key: MASK if key in ERROR_TEXTS and text else masked(text) for key, text in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


class MaskedDataDogLogger(DataDogLogger):
    """LiteLLM's Datadog callback, with every record masked on its way out."""

    async def async_send_batch(self) -> None:
        """Mask what is queued, and send it."""
        for payload in self.log_queue:
            payload["message"] = json.dumps(masked(json.loads(payload["message"])))
        await super().async_send_batch()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _is_plain(error: BaseException) -> bool:
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in PLAIN_MODULES


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def mask_log_record(record: logging.LogRecord) -> None:
    """Take the texts of the error that is being handled, and of its causes, out of a log record."""
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else sys.exc_info()[1]
    errors = [found for found in _chain(error) if not _is_plain(found)]
    if not errors:
        return
    message = record.getMessage()
    for found in errors:
        for text in (str(found), *(str(getattr(found, name, "")) for name in ("message", "detail"))):
            message = message.replace(text, MASK) if text else message
    # What comes after it in LiteLLM's own sentences is the error again, in another form, or a stack trace with it.
    message = message.partition("Traceback (most recent call last)")[0]
    record.msg, record.args = f"{message} [{_place(errors[0])}]", None
    record.exc_info = record.exc_text = None


def mask_log() -> None:
    """Mask every record of every logger, from now on."""
    make = logging.getLogRecordFactory()

    def make_masked(*args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401 - logging's own signature
        record = make(*args, **kwargs)
        if record.levelno >= logging.WARNING:
            mask_log_record(record)
        return record

    logging.setLogRecordFactory(make_masked)


mask_log()
datadog = MaskedDataDogLogger()
