"""What LiteLLM reports of calls, to Datadog and to its own log, without the texts that can quote a prompt."""

import asyncio
import json
import logging
import re
import sys
import types
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest

from stacks import CHECKOUT
from tests.clock import for_this_thread
from tests.unit.container.loading import CONTAINER, loaded

PROMPT = "a prompt that is nobody's business"


class FakeDataDogLogger:
    """Stands for LiteLLM's own: keeps what it would send."""

    batch_size = 3

    def __init__(self, flush_interval: float) -> None:
        self.flush_interval = flush_interval
        self.log_queue: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []

    async def flush_queue(self) -> None:
        self.sent += self.log_queue
        self.log_queue = []


class Status(str, Enum):  # noqa: UP042 - as LiteLLM's is
    INFO = "info"
    WARN = "warning"
    ERROR = "error"


class Service(Enum):
    DB = "postgres"
    RESET_BUDGET_JOB = "reset_budget_job"


ROUTER = types.SimpleNamespace(model_names={"claude"})
SAVED = 0.0031
asked: list[dict[str, Any]] = []  # of LiteLLM: what a cache saved


def savings(**call: Any) -> float:  # noqa: ANN401
    """Stands for LiteLLM's own arithmetic of what a cache saved."""
    asked.append({**call, "llm_router": call["llm_router"]()})
    return SAVED


CREDENTIALS = {"other": {"api_base": "https://other.openai.azure.com", "aws_region_name": "eu-west-1"}}

LITELLM: dict[str, dict[str, Any]] = {
    "litellm_core_utils.credential_accessor": {
        "CredentialAccessor": types.SimpleNamespace(get_credential_values=lambda name: CREDENTIALS.get(name, {}))
    },
    "proxy.spend_tracking.savings": {"prompt_caching_savings_for_request": savings},
    "integrations.datadog.datadog": {"DataDogLogger": FakeDataDogLogger},
    "integrations.datadog.datadog_handler": {
        "get_datadog_hostname": lambda: "task-1",
        "get_datadog_service": lambda: "litellm-gateway",
        "get_datadog_source": lambda: "litellm",
        "get_datadog_tags": lambda: ["env:dev", "service:litellm-gateway"],
    },
    "types.integrations.datadog": {"DatadogPayload": dict, "DataDogStatus": Status},
    "types.services": {"ServiceTypes": Service},
    "proxy.proxy_server": {"llm_router": ROUTER},
}


@pytest.fixture
def masking(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """The module, imported as LiteLLM does, on a stand-in for LiteLLM."""
    for name, content in LITELLM.items():
        words = ["litellm", *name.split(".")]
        for end in range(1, len(words) + 1):
            module = ".".join(words[:end])
            if module not in sys.modules or end == len(words):
                monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
        vars(sys.modules[module]).update(content)
    monkeypatch.syspath_prepend(CONTAINER)  # LiteLLM has its working folder there
    for name in ("records", "routing"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    factory = logging.getLogRecordFactory()
    found = loaded("masking")
    yield found
    for logger in found.LOGGERS:
        logging.getLogger(logger).removeFilter(found.addresses)
    logging.setLogRecordFactory(factory)


def reported(masking: types.ModuleType) -> list[tuple[str, str, str]]:
    """Status, kind and outcome of what Datadog is to get."""
    queued = [(log["status"], json.loads(log["message"])["llm"]) for log in masking.datadog.log_queue]
    return [(status.value, record["kind"], record.get("outcome", "")) for status, record in queued]


class Request:
    """One request on its way through LiteLLM, and the callbacks that LiteLLM calls for it."""

    def __init__(self, masking: types.ModuleType) -> None:
        self.logger = masking.datadog
        self.metadata: dict[str, Any] = {"model_group": "claude"}
        self.notes: dict[str, Any] = {"call_type": "acompletion", "standard_logging_object": {"total_tokens": 0}}
        self.data: dict[str, Any] = {
            "litellm_logging_obj": types.SimpleNamespace(model_call_details=self.notes),
            "metadata": self.metadata,
            "litellm_call_id": "4",
            "messages": [PROMPT],
        }

    def begins(self, region: str = "us-west-2") -> None:
        self.metadata["deployment"] = "bedrock/anthropic.claude"
        asyncio.run(self.logger.async_pre_call_deployment_hook(self.data | {"aws_region_name": region}, None))

    def is_refused(self) -> None:
        asyncio.run(self.logger.async_post_call_failure_deployment_hook(self.data, ValueError(PROMPT), None))

    def fails(self) -> None:
        asyncio.run(self.logger.async_log_failure_event(self.notes, None, None, None))

    def succeeds(self) -> None:
        asyncio.run(self.logger.async_log_success_event(self.notes, None, None, None))

    def ends_in_an_error(self) -> None:
        asyncio.run(self.logger.async_post_call_failure_hook(self.data, ValueError(PROMPT), None))


FAILED, SUCCEEDED = ("error", "call", "failure"), ("info", "call", "success")


def test_each_attempt_is_reported_once(masking: types.ModuleType) -> None:
    """LiteLLM tells of the first failure twice, and of the later ones once."""
    request = Request(masking)
    request.begins("us-east-1")
    request.is_refused()
    request.fails()
    request.begins("us-west-2")
    request.is_refused()
    assert reported(masking) == [FAILED, FAILED]
    regions = [json.loads(log["message"])["llm"]["region"] for log in masking.datadog.log_queue]
    assert regions == ["us-east-1", "us-west-2"]
    request.ends_in_an_error()
    assert len(masking.datadog.log_queue) == 2  # the gateway has rejected nothing


def test_a_call_inside_a_call_is_one_attempt(masking: types.ModuleType) -> None:
    request = Request(masking)
    request.begins()
    request.begins()
    request.is_refused()
    request.fails()
    request.is_refused()
    assert reported(masking) == [FAILED]


def test_a_stream_that_breaks_is_reported_by_the_event_alone(masking: types.ModuleType) -> None:
    request = Request(masking)
    request.begins()
    request.fails()
    assert reported(masking) == [FAILED]


def test_a_retry_is_known_as_one(masking: types.ModuleType) -> None:
    request = Request(masking)
    request.begins()
    assert not request.notes[masking.ATTEMPT].retried
    request.is_refused()
    request.begins()
    request.begins()
    assert request.notes[masking.ATTEMPT].retried
    request.succeeds()
    assert reported(masking) == [FAILED, SUCCEEDED]


def test_a_request_that_the_gateway_refuses_is_reported_once(masking: types.ModuleType) -> None:
    request = Request(masking)
    request.notes[masking.NO_CALL] = True
    request.fails()
    request.ends_in_an_error()
    assert reported(masking) == [("error", "rejected", "failure")]


@pytest.mark.parametrize(
    ("deployment", "own", "region"),
    [
        ("azure/gpt-6-luna", {}, "other"),
        ("azure/gpt-6-luna", {"api_base": "https://own.openai.azure.com"}, "own"),
        ("bedrock/anthropic.claude", {}, "eu-west-1"),
        ("bedrock/anthropic.claude", {"aws_region_name": "us-west-2"}, "us-west-2"),
    ],
)
def test_the_region_may_be_of_a_credential(
    masking: types.ModuleType, deployment: str, own: dict[str, str], region: str
) -> None:
    """LiteLLM adds what an entry of credential_list has to an attempt only after it has told of it."""
    metadata = {"deployment": deployment}
    attempt = {"metadata": metadata, "litellm_credential_name": "other", **own}
    asyncio.run(masking.datadog.async_pre_call_deployment_hook(attempt, None))
    assert metadata["tags"] == [f"region:{region}"]  # type: ignore[comparison-overlap]
    assert "api_base" not in attempt.keys() - own.keys()  # LiteLLM's request is as it was


def test_no_call_fails_for_what_cannot_be_noted(masking: types.ModuleType) -> None:
    asyncio.run(masking.datadog.async_pre_call_deployment_hook({"metadata": {"deployment": None}}, None))


def test_a_log_is_what_datadog_expects(masking: types.ModuleType) -> None:
    Request(masking).succeeds()
    (log,) = masking.datadog.log_queue
    assert json.loads(log.pop("message")).keys() == {"llm"}
    assert log == {
        "ddsource": "litellm",
        "ddtags": "env:dev,service:litellm-gateway",
        "hostname": "task-1",
        "service": "litellm-gateway",
        "status": "info",
    }


def test_what_a_cache_saved_litellm_is_asked(masking: types.ModuleType) -> None:
    """At the prices of the deployment that answered, as they were when it did."""
    asked.clear()
    usage = {"prompt_tokens_details": {"cached_tokens": 1500}}
    payload = {
        "model": "bedrock/us.anthropic.claude-sonnet-5-5",
        "custom_llm_provider": "bedrock",
        "model_id": "17",
        "cost_breakdown": {"service_tier": "flex"},
        "metadata": {"usage_object": usage},
        "endTime": 1_800_000_000.0,
        **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens", "response_cost"), 1600),
    }
    request = Request(masking)
    request.notes["standard_logging_object"] = payload
    request.succeeds()
    request.fails()
    assert [json.loads(log["message"])["llm"]["cache_saved"] for log in masking.datadog.log_queue] == [SAVED, SAVED]
    assert (
        asked[0]
        == asked[1]
        == {
            **{name: payload[name] for name in ("model", "custom_llm_provider", "model_id", "cost_breakdown")},
            "usage_object": usage,
            "llm_router": ROUTER,
            "billed_at": datetime.fromtimestamp(1_800_000_000, UTC),
        }
    )


def test_what_a_tool_is_given_is_not_kept(masking: types.ModuleType) -> None:
    """LiteLLM has it twice, and writes the second into its database; the call itself is another object's."""
    called = {"name": "search", "arguments": {"query": PROMPT}, "result": {"text": PROMPT}, "mcp_server_name": "wiki"}
    notes = {
        "mcp_tool_call_metadata": called,
        "standard_logging_object": {"metadata": {"mcp_tool_call_metadata": called}},
    }
    answer = object()
    assert asyncio.run(masking.datadog.async_logging_hook(notes, answer, "call_mcp_tool")) == (notes, answer)
    assert PROMPT not in json.dumps(notes)
    assert notes["mcp_tool_call_metadata"] == {"name": "search", "mcp_server_name": "wiki"}
    assert called["arguments"] == {"query": PROMPT}


@pytest.mark.parametrize("payload", [{}, {"standard_logging_object": {}}, {"standard_logging_object": None}])
def test_a_call_of_no_tool_is_left_as_it_is(masking: types.ModuleType, payload: dict[str, Any]) -> None:
    notes = {"model": "claude", **payload}
    assert asyncio.run(masking.datadog.async_logging_hook(dict(notes), None, "acompletion")) == (notes, None)


def test_service_events(masking: types.ModuleType) -> None:
    def event(service: Service) -> types.SimpleNamespace:
        return types.SimpleNamespace(service=service, call_type="update_spend", duration=0.5, error=PROMPT)

    asyncio.run(masking.datadog.async_service_success_hook(event(Service.DB)))
    asyncio.run(masking.datadog.async_service_success_hook(payload=event(Service.RESET_BUDGET_JOB), start_time=1.0))
    asyncio.run(masking.datadog.async_service_failure_hook(payload=event(Service.DB), error=PROMPT))
    assert reported(masking) == [("info", "service", "success"), ("warning", "service", "failure")]
    assert PROMPT not in json.dumps(masking.datadog.log_queue)


def test_nobody_waits_for_datadog(masking: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM's own callback sends a full batch at once: a caller whose attempt has failed would wait for it."""

    async def hangs(_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(FakeDataDogLogger, "flush_queue", hangs)
    reports = [masking.datadog._report({"n": n}, masking.DataDogStatus.INFO) for n in range(10)]

    async def all_of_them() -> None:
        await asyncio.wait_for(asyncio.gather(*reports), timeout=30)

    asyncio.run(all_of_them())
    assert len(masking.datadog.log_queue) == 10


def test_what_datadog_does_not_take_is_bounded_and_counted(
    masking: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once a minute, however many are lost; together the lines have each of them once, the last ones too."""
    now = 1_000_000.0
    for_this_thread(monkeypatch, monotonic=lambda: now)
    monkeypatch.setattr(masking, "MOST_QUEUED", 5)

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    def report(records: range) -> list[dict[str, int]]:
        for n in records:
            asyncio.run(masking.datadog._report({"n": n}, masking.DataDogStatus.INFO))
        return [line["datadog"] for line in lines()]

    assert report(range(5)) == []
    assert report(range(5, 30)) == [{"lost": 1, "waiting": 5}]
    kept = [json.loads(log["message"])["llm"]["n"] for log in masking.datadog.log_queue]
    assert kept == [25, 26, 27, 28, 29]
    now += masking.TOLD_SECONDS
    assert report(range(30, 40)) == [{"lost": 25, "waiting": 5}]
    asyncio.run(masking.datadog.flush_queue())  # Datadog takes them again
    assert lines() == []
    now += masking.TOLD_SECONDS
    asyncio.run(masking.datadog.flush_queue())
    (last,) = lines()
    assert last["datadog"] == {"lost": 9 + 1, "waiting": 0}  # a heartbeat was queued beside them
    assert last["message"] == "Datadog takes no records: 10 of the oldest are lost, 0 wait"
    now += masking.TOLD_SECONDS
    asyncio.run(masking.datadog.flush_queue())
    assert lines() == []


def test_the_figure_that_an_alarm_looks_at_is_in_the_line(masking: types.ModuleType) -> None:
    source = (CHECKOUT / "stacks/observability/log_insights.py").read_text("utf-8")
    (field,) = re.findall(r'^LOST = "\$\.(\w+)\.(\w+)"$', source, re.MULTILINE)
    written = json.loads(masking.line(3, 20_000))
    assert written[field[0]][field[1]] == 3
    assert written["level"] == "ERROR"


def test_what_waits_is_told_too_as_it_goes_with_the_worker(
    masking: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refused(_self: FakeDataDogLogger) -> None:
        """Datadog takes none, and LiteLLM keeps them."""

    monkeypatch.setattr(FakeDataDogLogger, "flush_queue", refused)
    asyncio.run(masking.datadog._report({"n": 1}, masking.DataDogStatus.INFO))
    for _ in range(3):
        asyncio.run(masking.datadog.flush_queue())
    (told,) = [json.loads(line)["datadog"] for line in capsys.readouterr().out.splitlines()]
    assert told == {"lost": 0, "waiting": 2}  # with the heartbeat


def test_a_heartbeat_goes_out_first_and_then_every_five_minutes(
    masking: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000.0
    for_this_thread(monkeypatch, monotonic=lambda: now)

    def beats() -> int:
        asyncio.run(masking.datadog.flush_queue())
        return len(masking.datadog.sent)

    assert [beats(), beats()] == [1, 1]
    now += 299
    assert beats() == 1
    now += 1
    assert [beats(), beats()] == [2, 2]
    assert {json.loads(log["message"])["llm"]["kind"] for log in masking.datadog.sent} == {"heartbeat"}


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


def test_the_errors_of_earlier_attempts_are_cut_off(masking: types.ModuleType) -> None:
    """LiteLLM appends those that have deployments cool down to the message of a failed fallback."""
    text = f"while trying to do fallbacks - %s\nDebug Information:\nCooldown Deployments=[('a', '{PROMPT}')]"
    try:
        raise ValueError("the last one")
    except ValueError as error:
        record = logging.getLogRecordFactory()("LiteLLM", logging.ERROR, __file__, 1, text, (error,), None)
    assert PROMPT not in record.getMessage()


# --- Whose call it was ------------------------------------------------------------------------------------------------

WHO = "ana.o'hara+x@mail.example.co.jp"
# As LiteLLM's `SlackAlerting` logs an alert about a budget for which it knows no address: beside the message.
ALERT = {"user_id": WHO, "token": None, "spend": 0.5, "alert_emails": [WHO], "event": "budget_crossed"}


def _logged(logger: str, message: str, *args: object, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - logging's own
    """What a handler gets of a line, and the text that a formatter makes of it."""
    kept: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = kept.append  # type: ignore[method-assign, assignment]
    found = logging.getLogger(logger)
    found.addHandler(handler)
    try:
        found.error(message, *args, **more)
    finally:
        found.removeHandler(handler)
    (record,) = kept
    return vars(record) | {"text": logging.Formatter().format(record)}


@pytest.mark.parametrize("logger", ["", "LiteLLM", "LiteLLM Proxy", "LiteLLM Router"])
def test_no_line_tells_whose_call_it_was(masking: types.ModuleType, logger: str) -> None:
    beside = _logged(logger, "Trying to send email alert to no recipient", extra=dict(ALERT))
    within = _logged(logger, "no budget of %s, user=%s", "a team", WHO)
    assert WHO not in str(beside) + str(within)
    assert (beside["user_id"], beside["alert_emails"]) == ("(a mail address)", ["(a mail address)"])
    assert (beside["spend"], beside["event"]) == (0.5, "budget_crossed")
    assert within["text"] == "no budget of a team, user=(a mail address)"


def test_a_plain_error_keeps_its_text_without_the_address(masking: types.ModuleType) -> None:
    try:
        raise ConnectionRefusedError(f"no database for {WHO} at 10.0.0.1")
    except ConnectionRefusedError:
        told = _logged("LiteLLM", "failed", exc_info=True)["text"]
    assert WHO not in told
    assert "no database for (a mail address) at 10.0.0.1" in told


@pytest.mark.parametrize("text", ["litellm@1.106.12", "a task@host", "@router.post", "1 of 10 %", "arn:aws:iam::1:x"])
def test_what_is_no_address_stays(masking: types.ModuleType, text: str) -> None:
    assert _logged("LiteLLM", text)["text"] == text


def test_they_are_all_of_litellms_loggers(masking: types.ModuleType) -> None:
    """A later version that logs by another one is seen here."""
    package = CHECKOUT / ".tools" / "litellm" / "lib"
    if not package.exists():
        pytest.skip("LiteLLM is not installed in .tools/litellm; `make setup` installs it")
    (file,) = package.glob("python*/site-packages/litellm/_logging.py")
    text = file.read_text("utf-8")
    (listed,) = re.findall(r"^ALL_LOGGERS.*?\[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    _, *variables = (each.strip() for each in listed.split(",") if each.strip())
    names = (re.findall(rf'^{each} = logging\.getLogger\("(.*)"\)', text, re.MULTILINE) for each in variables)
    assert {"", *(name for (name,) in names)} == set(masking.LOGGERS)
