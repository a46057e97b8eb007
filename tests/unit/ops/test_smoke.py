"""ops/smoke.py: what it invokes and prints, and a sentence for what can go wrong."""

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore import exceptions as aws
from botocore.response import StreamingBody
from botocore.stub import Stubber

from ops import smoke as command
from ops.access import Access
from stacks.company import environments

DEV = environments()["dev"]
ARN = f"arn:aws:lambda:ap-northeast-1:{DEV.account}:function:litellm-dev-smoke"
PASSED = {
    "passed": True,
    "url": "https://llm.dev.example.com",
    "version": "1.106.12",
    "cost": 0.000233,
    "checks": [
        {"name": "health", "passed": True, "detail": "LiteLLM answers and reaches its database", "seconds": 0.1},
        {"name": "completion by azure", "passed": True, "detail": "gpt-6-luna answered", "seconds": 1.25},
    ],
}


class Session:
    """A session of boto3's whose clients of Lambda and STS are stubbed; it keeps how the first one was made."""

    def __init__(self, account: str = DEV.account) -> None:
        real = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=DEV.region)
        self.account = account
        self.function = real.client("lambda")
        self.made: dict[str, Any] = {}
        self._partition = real.get_partition_for_region

    def client(self, service: str, **options: Any) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        if service == "sts":
            return self
        assert service == "lambda"
        self.made = options
        return self.function

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": self.account}

    def get_partition_for_region(self, region: str) -> str:
        return str(self._partition(region))


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def function(session: Session) -> Iterator[Stubber]:
    with Stubber(session.function) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def _answers(function: Stubber, payload: object, **more: str) -> None:
    data = json.dumps(payload).encode()
    response = {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(data), len(data)), **more}
    function.add_response("invoke", response, {"FunctionName": ARN, "InvocationType": "RequestResponse"})


def _run(session: Session, *arguments: str) -> int:
    return command.main(["--env", "dev", *arguments], session=session)  # type: ignore[arg-type]


def _refused(capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence on standard error, with nothing on standard output."""
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    return line


def test_passed(session: Session, function: Stubber, capsys: pytest.CaptureFixture[str]) -> None:
    _answers(function, PASSED)
    assert _run(session) == 0
    assert capsys.readouterr().out == (
        "dev: https://llm.dev.example.com, LiteLLM 1.106.12\n"
        "  passed  health               LiteLLM answers and reaches its database (0.1 s)\n"
        "  passed  completion by azure  gpt-6-luna answered (1.2 s)\n"
        "The smoke test passed, for 0.000233 USD.\n"
    )


def test_failed(session: Session, function: Stubber, capsys: pytest.CaptureFixture[str]) -> None:
    finding = {
        "name": "completion by bedrock",
        "passed": False,
        "detail": "a completion was answered 403",
        "seconds": 3.0,
    }
    _answers(function, PASSED | {"passed": False, "version": "", "checks": [*PASSED["checks"], finding]})  # type: ignore[misc]
    assert _run(session) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "dev: https://llm.dev.example.com"
    assert lines[-2:] == [
        "  FAILED  completion by bedrock  a completion was answered 403 (3.0 s)",
        "The smoke test failed: completion by bedrock.",
    ]


def test_it_waits_longer_than_the_function_and_asks_once(session: Session, function: Stubber) -> None:
    _answers(function, PASSED)
    _run(session)
    assert session.made["region_name"] == DEV.region
    config = session.made["config"]
    assert config.read_timeout > 900  # the most that a function may take
    assert config.retries == {"total_max_attempts": 1}
    assert config.tcp_keepalive is True


@pytest.mark.parametrize(
    ("payload", "how"),
    [
        ({"errorMessage": "2026-11-24T09:00:00Z 0-1 Task timed out after 840.00 seconds"}, "did not end in its time"),
        ({"errorType": "KeyError", "errorMessage": "'sk-secret'", "stackTrace": []}, "ended with an error (KeyError)"),
        ({}, "ended with an error (unknown)"),
    ],
)
def test_a_function_that_fails_is_a_failed_test(
    session: Session, function: Stubber, capsys: pytest.CaptureFixture[str], payload: dict[str, Any], how: str
) -> None:
    _answers(function, payload, FunctionError="Unhandled")
    assert _run(session) == 1
    assert capsys.readouterr().out.splitlines() == [
        "dev",
        f"  FAILED  smoke test  the function litellm-dev-smoke {how}: read its log in CloudWatch Logs (0.0 s)",
        "The smoke test failed: smoke test.",
    ]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "ResourceNotFoundException",
            "there is no function litellm-dev-smoke in account 111111111111, ap-northeast-1: the",
        ),
        (
            "AccessDeniedException",
            "AWS refused to run litellm-dev-smoke (AccessDeniedException): these AWS credentials need",
        ),
        (
            "TooManyRequestsException",
            "AWS refused to run litellm-dev-smoke (TooManyRequestsException): the account runs as",
        ),
        ("ServiceException", "AWS refused to run litellm-dev-smoke (ServiceException): see its documentation."),
    ],
)
def test_not_run(
    session: Session, function: Stubber, capsys: pytest.CaptureFixture[str], code: str, sentence: str
) -> None:
    function.add_client_error("invoke", code)
    assert _run(session) == 2
    assert _refused(capsys).startswith(f"smoke: {sentence}")


def test_an_answer_that_does_not_come(
    session: Session, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(**_: object) -> None:
        raise aws.ReadTimeoutError(endpoint_url="https://lambda.ap-northeast-1.amazonaws.com")

    monkeypatch.setattr(session.function, "invoke", lost)
    assert _run(session) == 2
    assert re.match(r"smoke: litellm-dev-smoke was started, and .* \(ReadTimeoutError\): look at", _refused(capsys))


def test_another_account(function: Stubber, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(Session("999999999999")) == 2
    assert _refused(capsys).startswith("smoke: these AWS credentials are of account 999999999999, but dev is in 11111")


def test_the_account_of_the_releases(capsys: pytest.CaptureFixture[str]) -> None:
    """It runs the test with its own credentials, by the function's name in the environment's account."""
    session = Session("444444444444")
    with Stubber(session.function) as function:
        _answers(function, PASSED)
        assert _run(session, "--assume-roles") == 0
        function.assert_no_pending_responses()
    assert "passed" in capsys.readouterr().out


def test_no_such_environment(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--env", "qa"], session=session) == 2  # type: ignore[arg-type]
    assert _refused(capsys).startswith("smoke: there is no environment qa: company/environments.py has dev, ")


def test_a_report_for_other_commands(session: Session, function: Stubber) -> None:
    _answers(function, PASSED)
    report = command.smoke(Access(DEV, session))  # type: ignore[arg-type]
    assert report.passed
    assert (report.version, report.cost) == ("1.106.12", 0.000233)
