"""`make wake` and `make sleep`: what is asked of the function, and what is said of its answers."""

import io
import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from ops import sleep
from ops.access import Access, OpsError
from stacks.company import environments
from stacks.settings import Environment

DEV = environments()["dev"]


class Session:
    """A session whose one client is the stubbed one."""

    def __init__(self) -> None:
        self.made: Any = boto3.client(
            "lambda", region_name="ap-northeast-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )

    def client(self, name: str, **_: Any) -> Any:  # noqa: ANN401 - boto3's
        assert name == "lambda"
        return self.made


def put(
    answer: dict[str, Any] | str, to: sleep.State = "awake", *, failed: bool = False, one: Environment = DEV
) -> str:
    session: Any = Session()
    with Stubber(session.made) as stubber:
        if isinstance(answer, str):
            stubber.add_client_error("invoke", answer)
        else:
            given = {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode())}
            asked = {"FunctionName": "litellm-dev-sleep", "Payload": json.dumps({"to": to}).encode()}
            stubber.add_response("invoke", given | ({"FunctionError": "Unhandled"} if failed else {}), asked)
        return sleep.put(Access(one, session), to)


def test_what_slept_is_awake() -> None:
    assert put({"was": "asleep", "is": "awake", "seconds": 140}) == "dev is awake, after 140 s."


def test_what_was_awake_already_is_told_so() -> None:
    assert put({"was": "awake", "is": "awake", "seconds": 1}) == "dev was awake already."


def test_what_falls_asleep_says_when_it_wakes() -> None:
    told = put({"was": "awake", "is": "asleep", "seconds": 1}, "asleep")
    assert told == ("dev is asleep, after 1 s. It wakes by its clock: 09:00-19:00 Asia/Tokyo, MON, TUE, WED, THU, FRI.")


def test_a_failure_is_told_in_the_functions_words() -> None:
    with pytest.raises(OpsError, match="litellm-dev-sleep failed: no task became healthy"):
        put({"errorMessage": "no task became healthy", "errorType": "SleepError"}, failed=True)


def test_what_is_not_deployed_is_told_how_it_is() -> None:
    with pytest.raises(OpsError, match=r"no function litellm-dev-sleep in account 111111111111.*make deploy ENV=dev"):
        put("ResourceNotFoundException")


def test_what_never_sleeps_is_not_asked() -> None:
    with pytest.raises(OpsError, match="prod never sleeps: its settings have no sleep"):
        put({}, one=environments()["prod"])
