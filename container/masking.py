"""Keeps prompts out of what LiteLLM reports of calls: to Datadog, to its database, and to its own log.

`turn_off_message_logging` empties prompts and answers, but not the texts of errors, and those can quote a prompt:
LiteLLM itself repeats a message that it cannot read ("Invalid Message passed in {…}"), and so may a provider.

- Datadog gets the records of records.py beside this file, and nothing else.
- Of a tool's call LiteLLM's database keeps which tool it was, and neither what it was given nor what it answered.
- Of an error in the log is kept what tells it apart: its class, and where it was raised.
- No line of the log has a mail address in it, which LiteLLM's ids of people are.

config.yaml names `masking.datadog` as a callback; LiteLLM imports this module from the folder of the file, which is
its working folder too.
"""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import records
import routing
from litellm.integrations.datadog.datadog import DataDogLogger
from litellm.integrations.datadog.datadog_handler import (
    get_datadog_hostname,
    get_datadog_service,
    get_datadog_source,
    get_datadog_tags,
)
from litellm.litellm_core_utils.credential_accessor import CredentialAccessor
from litellm.proxy.spend_tracking.savings import prompt_caching_savings_for_request
from litellm.types.integrations.datadog import DatadogPayload, DataDogStatus
from litellm.types.services import ServiceTypes
from records import Attempt

HEARTBEAT_SECONDS = 300.0
# LiteLLM does not send what is queued when it ends: with its own five seconds, more would be lost.
FLUSH_SECONDS = 1.0
# Records of a process that wait while Datadog takes none, some 40 MB. LiteLLM keeps them all: its own limit
# (`CustomBatchLogger.max_queue_size`) is for loggers that let an error through, and Datadog's does not.
MOST_QUEUED = 20_000
TOLD_SECONDS = 60.0  # between two lines of the log about what is lost
# LiteLLM's word for a request that its proxy refused: it calls the callbacks of failed calls for those too.
NO_CALL = "litellm_no_upstream_llm_call"
# What this callback notes of a request, among LiteLLM's own notes.
ATTEMPT = "datadog_attempt"

# Where LiteLLM notes a call of an MCP server's tool (`StandardLoggingMCPToolCall`), and what of it is somebody's text.
TOOL_CALL = "mcp_tool_call_metadata"
TOOL_TEXTS = ("arguments", "result")

MASK = "(not logged: an error's text can quote a prompt)"
# Errors of the gateway's own connections, whose texts an operator needs and in which no prompt can be.
PLAIN_MODULES = ("prisma", "httpx", "httpcore", "psycopg", "redis", "ssl", "socket", "asyncio")

# What comes after these in LiteLLM's own sentences is errors again, in another form or those of earlier attempts.
ENDS = ("Traceback (most recent call last)", "\nDebug Information:")

# LiteLLM logs whom a message is about beside it (`extra`, as `slack_alerting.py` does with the whole of an alert): no
# factory of records sees that, but a filter of these loggers does, which are all of LiteLLM's own.
ADDRESS = re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")
ADDRESS_MASK = "(a mail address)"
LOGGERS = ("", "LiteLLM", "LiteLLM Proxy", "LiteLLM Router")  # ALL_LOGGERS of litellm/_logging.py
NOT_TEXT = ("args", "exc_info", "msg")  # attributes of a record that are looked at as what is made of them

_log = logging.getLogger("LiteLLM")


class RecordLogger(DataDogLogger):
    """LiteLLM's Datadog callback, with records of our own; batches, splitting and retries are LiteLLM's.

    Nobody waits for Datadog: a record is queued, and sent in the background each second, in as many parts as Datadog's
    limits ask for. While it takes none the newest `MOST_QUEUED` are kept. How many are lost, and wait, is a line of the
    log once a minute (what waits goes with the worker, which nothing asks when it ends): CloudWatch makes the figure of
    it that an alarm looks at (`DATADOG_LOST` in stacks/observability/log_insights.py).

    LiteLLM tells of the first failure of a request only (`async_log_failure_event`), but of each attempt's to another
    hook; what fails in the middle of a stream it tells to the first alone. So an attempt is noted when it begins, and
    whichever of the two comes first reports it.
    """

    _next_heartbeat = 0.0
    _next_line = 0.0
    _lost = 0  # since the last line

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: object) -> None:
        """Note that an attempt begins, and tag it with its region."""
        try:
            notes = _notes(kwargs)
            before: Attempt | None = notes.get(ATTEMPT)
            notes[ATTEMPT] = Attempt(time.time(), retried=before is not None and (before.failed or before.retried))
            records.tag_region(_with_credential(kwargs))
        except Exception:  # LiteLLM would let the call fail
            _log.exception("An attempt could not be noted for Datadog")

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, Any],
        exception: Exception,
        call_type: object,
        fallback_depth: int | None = None,
    ) -> None:
        """Report an attempt that a provider refused."""
        notes = _notes(request_data)
        attempt: Attempt = notes.setdefault(ATTEMPT, Attempt(time.time()))
        # One format made from another is a call inside a call, and both fail.
        if not attempt.failed:
            attempt.failed = True
            record = records.failed(request_data, exception, notes, seconds=time.time() - attempt.start)
            await self._report(record, DataDogStatus.ERROR)

    async def async_logging_hook(self, kwargs: dict[str, Any], result: object, call_type: str) -> tuple[Any, object]:
        """Take what a tool was given, and what it answered, out of what LiteLLM keeps of the call in its database.

        `turn_off_message_logging` and `store_prompts_in_spend_logs` leave those in: LiteLLM counts them as metadata.
        """
        for place in (kwargs, _payload(kwargs).get("metadata") or {}):
            if called := place.get(TOOL_CALL):
                place[TOOL_CALL] = {name: value for name, value in called.items() if name not in TOOL_TEXTS}
        return kwargs, result

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Report an answered attempt."""
        record = records.succeeded(_payload(kwargs), kwargs.get(ATTEMPT), saving=_saving)
        await self._report(record, DataDogStatus.INFO)

    def log_success_event(
        self, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Send nothing: LiteLLM's own would send its own record, at once. The proxy's calls are all asynchronous."""

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: object, start_time: object, end_time: object
    ) -> None:
        """Report a failed attempt, unless it is reported already or there was none."""
        attempt: Attempt | None = kwargs.get(ATTEMPT)
        if not kwargs.get(NO_CALL) and not (attempt and attempt.failed):
            streamed = kwargs.get("stream") is True
            record = records.broken(
                _payload(kwargs), kwargs.get("exception"), attempt, streamed=streamed, saving=_saving
            )
            await self._report(record, DataDogStatus.ERROR)

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: object,
        traceback_str: str | None = None,
    ) -> None:
        """Report a request that was refused before it was given to a provider."""
        if records.metadata_of(request_data) is None:
            record = records.rejected(request_data, original_exception, user_api_key_dict, models=_models())
            await self._report(record, DataDogStatus.ERROR)

    async def async_service_failure_hook(self, payload: Any, *_: object, **__: object) -> None:  # noqa: ANN401
        """Report that something of LiteLLM's own work failed, such as a write to the database."""
        await self._report_service(payload, DataDogStatus.WARN)

    async def async_service_success_hook(self, payload: Any, *_: object, **__: object) -> None:  # noqa: ANN401
        """Report the one kind of its own work that LiteLLM reports to Datadog when it goes well."""
        if payload.service == ServiceTypes.RESET_BUDGET_JOB:
            await self._report_service(payload, DataDogStatus.INFO)

    async def flush_queue(self) -> None:
        """Send what is queued; LiteLLM calls this every second, traffic or none."""
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
            self._queue(records.heartbeat(), DataDogStatus.INFO)
        oldest = self.log_queue[0] if self.log_queue else None
        await super().flush_queue()
        if self._lost or (oldest is not None and self.log_queue and self.log_queue[0] is oldest):
            self._tell()

    async def _report_service(self, payload: Any, status: DataDogStatus) -> None:  # noqa: ANN401
        ok = status == DataDogStatus.INFO
        record = records.service(payload.service.value, payload.call_type, ok=ok, seconds=payload.duration)
        await self._report(record, status)

    async def _report(self, record: records.Json, status: DataDogStatus) -> None:
        self._queue(record, status)

    def _queue(self, record: records.Json, status: DataDogStatus) -> None:
        self.log_queue.append(
            DatadogPayload(
                ddsource=get_datadog_source(),
                ddtags=",".join(get_datadog_tags()),
                hostname=get_datadog_hostname(),
                message=json.dumps({"llm": record}, default=str),
                service=get_datadog_service(),
                status=status,
            )
        )
        if (lost := len(self.log_queue) - MOST_QUEUED) > 0:
            del self.log_queue[:lost]
            self._lost += lost
            self._tell()  # here as well: while Datadog hangs, nothing else comes by

    def _tell(self) -> None:
        if time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + TOLD_SECONDS
            print(line(self._lost, len(self.log_queue)), flush=True)
            self._lost = 0


def line(lost: int, waiting: int) -> str:
    """Return what the log is told of records that Datadog will never get, and of those that it may."""
    words = f"Datadog takes no records: {lost} of the oldest are lost, {waiting} wait"
    figures = {"lost": lost, "waiting": waiting}
    return json.dumps({"level": "ERROR", "component": "datadog", "message": words, "datadog": figures})


def _notes(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what LiteLLM notes of a request, the same for all its attempts."""
    return getattr(request.get("litellm_logging_obj"), "model_call_details", {})


def _with_credential(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a request's parameters with those of the entry of credential_list that it names, its own first.

    LiteLLM puts them together in this way too, but only after it has told that the attempt begins.
    """
    name = request.get("litellm_credential_name")
    return {**CredentialAccessor.get_credential_values(name), **request} if name else request


def _payload(call: Mapping[str, Any]) -> Mapping[str, Any]:
    return call.get("standard_logging_object") or {}


def _saving(payload: Mapping[str, Any]) -> float | None:
    """Return what the provider's cache saved of a call, as LiteLLM reckons it for its own daily sums.

    That is less what writing to it cost, at the deployment's prices of the moment; US dollars, None if it has none.
    """
    return prompt_caching_savings_for_request(
        model=payload["model"],
        custom_llm_provider=payload["custom_llm_provider"],
        usage_object=payload["metadata"]["usage_object"],
        model_id=payload["model_id"],
        llm_router=routing.router,
        cost_breakdown=payload["cost_breakdown"],
        billed_at=datetime.fromtimestamp(payload["endTime"], UTC),
    )


def _models() -> set[str]:
    router = routing.router()
    return router.model_names if router else set()


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
    for end in ENDS:
        message = message.partition(end)[0]
    record.msg, record.args = f"{message} [{_place(errors[0])}]", None
    record.exc_info = record.exc_text = None


class Addresses(logging.Filter):
    """Takes mail addresses out of a record: its message, what is logged beside it, and the text of an error."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        message = record.getMessage()
        if (masked := without_addresses(message)) != message:
            record.msg, record.args = masked, None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        for name, value in [*vars(record).items()]:
            if name not in NOT_TEXT:
                setattr(record, name, without_addresses(value))
        return True


def without_addresses(value: Any) -> Any:  # noqa: ANN401 - whatever is logged
    """Return the same without any mail address in its texts."""
    match value:
        case str():
            return ADDRESS.sub(ADDRESS_MASK, value)
        case dict():
            return {without_addresses(key): without_addresses(each) for key, each in value.items()}
        case list() | tuple() | set():
            return [without_addresses(each) for each in value]
    return value


def mask_log() -> None:
    """Mask every record of every logger, from now on."""
    make = logging.getLogRecordFactory()

    def make_masked(*args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401 - logging's own signature
        record = make(*args, **kwargs)
        if record.levelno >= logging.WARNING:
            mask_log_record(record)
        return record

    logging.setLogRecordFactory(make_masked)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(addresses)


addresses = Addresses()
mask_log()
datadog = RecordLogger(flush_interval=FLUSH_SECONDS)
