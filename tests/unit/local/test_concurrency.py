"""How many functions the emulated AWS runs at once, and what becomes of those that are one too many."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.aws import REGION, Emulator, Settings
from local.ports import free_ports
from tests.unit.local.test_emulator import OTHER, OWN, aws, deploy
from tests.unit.local.test_functions import PACKAGE, ROLE, function, store, table, until

LIMIT = 2
Kind = Literal["RequestResponse", "Event"]
MAIN = """
    import json, os
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError
    from probe.notes import await_note, note

    def hold(event, context):
        note("held", event)
        await_note(f"let {event} go")
        note("gone", event)

    def inner(event, context):
        return "done"

    def outer(event, context):
        client = boto3.client("lambda", config=Config(retries={"total_max_attempts": 1}))
        try:
            answer = client.invoke(FunctionName=os.environ["INNER"], Payload=b"{}")
        except ClientError as error:
            return error.response["Error"]
        return json.loads(answer["Payload"].read())
"""
RESOURCES: Mapping[str, Any] = {
    "Role": ROLE,
    "Notes": table(),
    "Hold": function("probe.main.hold"),
    "Inner": function("probe.main.inner"),
    "Outer": function("probe.main.outer", variables={"INNER": {"Ref": "Inner"}}),
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("emulator")
    emulator = Emulator(port=free_ports(1)[0], state=folder, settings=Settings(concurrency=LIMIT))
    emulator.start()
    yield emulator
    emulator.stop()


def deployed(emulator: Emulator, account: str) -> dict[str, str]:
    bucket = f"packages-{account}"
    package = {name: PACKAGE[name] for name in ("probe/__init__.py", "probe/notes.py")} | {"probe/main.py": MAIN}
    store(emulator, package, bucket, account)
    resources = json.loads(json.dumps(RESOURCES).replace('"packages"', f'"{bucket}"'))
    outputs = {name: {"Ref": name} for name in ("Hold", "Inner", "Outer", "Notes")}
    return deploy(emulator, "functions", resources, outputs, account)


@pytest.fixture(scope="module")
def stack(emulator: Emulator) -> dict[str, str]:
    return deployed(emulator, OWN)


class Holders:
    """Functions that run until they are let go."""

    def __init__(self, emulator: Emulator, stack: Mapping[str, str], pool: ThreadPoolExecutor) -> None:
        self._emulator, self._stack, self._pool = emulator, stack, pool
        self._table = aws(emulator, "dynamodb")
        self._held: list[str] = []

    def notes(self) -> list[str]:
        item = self._table.get_item(TableName=self._stack["Notes"], Key={"id": {"S": "notes"}}).get("Item")
        return [said["S"] for said in item["said"]["L"]] if item else []

    def hold(self, name: str) -> None:
        """Start one, and wait until it runs."""
        self._held.append(name)
        self._pool.submit(invoke, self._emulator, self._stack["Hold"], name)
        until(lambda: f"held {name}" in self.notes())

    def let_go(self) -> None:
        """End all, and wait until they have."""
        while self._held:
            self.note(f"let {(name := self._held.pop())} go")
            until(lambda n=name: f"gone {n}" in self.notes())  # type: ignore[misc]

    def note(self, text: str) -> None:
        self._table.update_item(
            TableName=self._stack["Notes"],
            Key={"id": {"S": "notes"}},
            UpdateExpression="SET said = list_append(if_not_exists(said, :none), :more)",
            ExpressionAttributeValues={":none": {"L": []}, ":more": {"L": [{"S": text}]}},
        )


@pytest.fixture
def holders(emulator: Emulator, stack: Mapping[str, str]) -> Iterator[Holders]:
    with ThreadPoolExecutor() as pool:
        found = Holders(emulator, stack, pool)
        yield found
        found.let_go()
    until(lambda: _unless_throttled(lambda: invoke(emulator, stack["Outer"], {})) == "done")  # their places are free


def invoke(emulator: Emulator, name: str, event: object, account: str = OWN, kind: Kind = "RequestResponse") -> Any:  # noqa: ANN401
    client = boto3.client(
        "lambda",
        endpoint_url=emulator.endpoint,
        region_name=REGION,
        aws_access_key_id=account,
        aws_secret_access_key="test",
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event), InvocationType=kind)
    return json.loads(answer["Payload"].read() or "null")


def test_who_waits_for_one_too_many_is_told(emulator: Emulator, stack: Mapping[str, str], holders: Holders) -> None:
    for name in ("a1", "a2"):
        holders.hold(name)
    with pytest.raises(ClientError) as refused:
        invoke(emulator, stack["Inner"], {})
    assert refused.value.response["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert refused.value.response.get("Reason") == "ConcurrentInvocationLimitExceeded"
    holders.let_go()
    assert until(lambda: _unless_throttled(lambda: invoke(emulator, stack["Inner"], {}))) == "done"


def test_a_function_that_waits_for_another_takes_two(
    emulator: Emulator, stack: Mapping[str, str], holders: Holders
) -> None:
    """As the CDK's provider framework does, which fails with what it is told."""
    assert invoke(emulator, stack["Outer"], {}) == "done"
    holders.hold("b1")
    assert invoke(emulator, stack["Outer"], {}) == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}


def test_an_event_is_tried_until_there_is_room(emulator: Emulator, stack: Mapping[str, str], holders: Holders) -> None:
    """What is throttled is no error of the function, of which it is not tried again."""
    aws(emulator, "lambda").put_function_event_invoke_config(FunctionName=stack["Hold"], MaximumRetryAttempts=0)
    for name in ("c1", "c2"):
        holders.hold(name)
    holders.note("let c3 go")
    assert invoke(emulator, stack["Hold"], "c3", kind="Event") is None
    until(lambda: throttled(emulator, stack["Hold"]))
    assert "held c3" not in holders.notes()
    holders.let_go()
    until(lambda: "gone c3" in holders.notes())


def test_each_account_has_its_own(emulator: Emulator, stack: Mapping[str, str], holders: Holders) -> None:
    assert stack
    theirs = deployed(emulator, OTHER)
    for name in ("d1", "d2"):
        holders.hold(name)
    assert invoke(emulator, theirs["Inner"], {}, OTHER) == "done"
    limit = aws(emulator, "lambda").get_account_settings()["AccountLimit"]
    assert limit["ConcurrentExecutions"] == LIMIT


def throttled(emulator: Emulator, name: str) -> float:
    """How often a function was turned away, as CloudWatch has it."""
    now = datetime.now(UTC)
    found = aws(emulator, "cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Throttles",
        Dimensions=[{"Name": "FunctionName", "Value": name}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=3600,
        Statistics=["Sum"],
    )
    return float(sum(each["Sum"] for each in found["Datapoints"]))


def _unless_throttled(call: Callable[[], Any]) -> Any:  # noqa: ANN401
    try:
        return call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "TooManyRequestsException"
        return None
