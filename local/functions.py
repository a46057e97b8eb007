"""What AWS Lambda and its neighbours do and ministack's leave out, for functions that run as processes of this machine.

A function runs from its deployed package, with its deployed environment and the differences of this machine. What it
printed in an invocation, and why it failed, is in `<function's name>.log`, beside what ministack keeps in its
CloudWatch Logs.

ministack unzips a package for each of a function's processes (core/lambda_runtime.py, Worker), puts the folder first on
the path and runs it with its own Python, the .venv's, whatever the function's runtime and architecture are. Packages
compiled for Lambda's Python on ARM64 cannot be imported so, while the .venv has the same versions of them for this
machine: lambda/*/requirements.txt are locked within requirements.txt. It has the others too, of ten thousand files,
which each process would unzip and compile anew.
"""

from __future__ import annotations

import csv
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from email.parser import HeaderParser
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from local.ecs import Json, ministack

# The way to the outside world, which every function takes here and none is deployed with.
WAY_OUT = frozenset(
    {
        *("AWS_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
        "AWS_ENDPOINT_URL_COST_EXPLORER",  # of the services that functions use, the one that ministack has not
    }
)
# docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html: payload size
LARGEST_BODY_BYTES = 10 * 1024 * 1024
# docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html, of what is throttled; seconds
FIRST_RETRY, LONGEST_RETRY, OLDEST_EVENT = 1.0, 300.0, 6 * 3600.0
# Whether somebody waits for the answer of the function that is invoked.
_awaited = ContextVar("awaited", default=False)


def with_differences(configuration: Json, differences: Mapping[str, str]) -> dict[str, Any]:
    """The configuration of a function with other values for variables that it has, and the way out for all.

    And with the name that Lambda gives the place where it runs.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    environment = configuration.get("Environment") or {}
    deployed = environment.get("Variables") or {}
    applied = {name: value for name, value in differences.items() if name in deployed or name in WAY_OUT}
    place = {"AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration.get('Runtime', '')}"}
    return {**configuration, "Environment": {**environment, "Variables": {**deployed, **applied, **place}}}


@lru_cache(maxsize=8)  # functions share a package, and their processes come and go
def without_installed(package: bytes) -> bytes:
    """The zip of a function without the packages in it that this Python has in the same version, or cannot import.

    The latter say of themselves that they are not pure Python. Each goes as a whole: the parts of one version belong
    together.
    """
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        left_out = {
            name
            for wheel in archive.namelist()
            if wheel.endswith(".dist-info/WHEEL") and (_is_here(wheel) or not _is_pure(archive.read(wheel).decode()))
            for name in _recorded(archive.read(wheel.removesuffix("WHEEL") + "RECORD").decode())
        }
        if not left_out:
            return package
        kept = io.BytesIO()
        with zipfile.ZipFile(kept, "w") as target:
            for entry in archive.infolist():
                if entry.filename not in left_out and not entry.is_dir():  # an empty folder would be a package too
                    target.writestr(entry, archive.read(entry), zipfile.ZIP_STORED)
    return kept.getvalue()


def _is_here(wheel: str) -> bool:
    """Whether the package of this `….dist-info/WHEEL` is installed here, in its version."""
    name, _, version = wheel.removesuffix(".dist-info/WHEEL").rpartition("-")
    try:
        return metadata.version(name) == version
    except metadata.PackageNotFoundError:
        return False


def _is_pure(wheel: str) -> bool:
    return HeaderParser().parsestr(wheel)["Root-Is-Purelib"] == "true"


def _recorded(record: str) -> Iterable[str]:
    """The files of an installed package, which names each with its hash and its size."""
    return (row[0] for row in csv.reader(record.splitlines()))


def mend_environment(differences_of: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
    """Have functions' execution environments start `with_differences`, and `without_installed` packages.

    `differences_of` tells them for a function that is deployed with these variables.
    """
    runtime = ministack("core.lambda_runtime")
    worker = runtime.Worker

    class LocalWorker(worker):  # type: ignore[misc, valid-type]
        def __init__(self, name: str, configuration: Json, package: bytes) -> None:
            here = {"AWS_REGION": configuration["FunctionArn"].split(":")[3]}  # which Lambda tells it
            deployed = here | ((configuration.get("Environment") or {}).get("Variables") or {})
            own = with_differences(configuration, differences_of(deployed))
            super().__init__(name, own, without_installed(package))

    runtime.Worker = LocalWorker


def mend_logs(folder: Path) -> None:
    """Write what a function prints, and the error of an invocation that failed, to a file of its name."""
    service = ministack("services.lambda_svc")
    dispatch = service._execute_function_dispatch

    def execute(function: Json, configuration: Json, *rest: object) -> Any:  # noqa: ANN401 - ministack's result
        result = dispatch(function, configuration, *rest)
        said = result.get("log") or (json.dumps(result.get("body")) if result.get("error") else "")
        if said:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{configuration['FunctionName']}.log").open("a") as log:
                log.write(said.rstrip("\n") + "\n")
        return result

    service._execute_function_dispatch = execute


def mend_event_sources() -> None:
    """Have the messages of a FIFO queue's groups worked on side by side: ministack takes one batch at a time.

    Only where a batch is one message: a larger one may span groups, and ministack does not tell them apart.
    """
    service = ministack("services.lambda_svc")
    concurrency = service._sqs_esm_concurrency

    def of_source(source: Json, function: Json, configuration: Json, queue: Json | None = None) -> int:
        known = {**(queue or {})}
        if source.get("BatchSize") == 1:
            known["is_fifo"] = False  # a queue gives no message of a group of which one is in flight
        return int(concurrency(source, function, configuration, known))

    service._sqs_esm_concurrency = of_source


def mend_invocation() -> None:
    """Have a function of another account be invoked by its ARN, by those whom its policy lets in."""
    service, responses = ministack("services.lambda_svc"), ministack("core.responses")
    invoke = service._invoke

    async def of_any_account(
        name: str, event: object, headers: Json, qualifier: str | None = None, *rest: object
    ) -> Any:  # noqa: ANN401 - ministack's response
        if not name.startswith("arn:"):  # a name alone is one of the caller's account, and so is what ministack knew
            return await invoke(name, event, headers, qualifier, *rest)
        caller = responses.get_account_id()
        _, _, _, region, account, *_ = name.split(":")
        with responses.request_scope(account, region):
            function, qualifier = service._resolve_request_scoped_name_and_qualifier(name)
            if _lets_in(service._functions.get(function), caller, name):
                return await invoke(function, event, headers, qualifier, *rest)
        reason = f"account {caller} is not authorized to perform: lambda:InvokeFunction on resource: {name}"
        return responses.error_response_json("AccessDeniedException", reason, 403)

    service._invoke = of_any_account


def _lets_in(function: Json | None, account: str, arn: str) -> bool:
    """Whether the policy of a function, if there is one, lets another account invoke it."""
    if not function:
        return False
    evaluator = ministack("core.iam_evaluator")
    context = evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{account}:root",
        principal_type="Root",
        principal_account=account,
        action="lambda:InvokeFunction",
        resource_arn=arn,
        region=arn.split(":")[3],
    )
    return bool(evaluator.evaluate_resource_policy(function["policy"], context).decision == "Allow")


def mend_concurrency(limit: int | None) -> None:
    """Have the functions of an account run in a region up to `limit` at once, or as many as this machine bears if None.

    Beyond it Lambda answers who waits for a function with TooManyRequestsException, in its own words; what nobody waits
    for (events, notifications, custom resources of CloudFormation) it tries again for six hours. ministack counts all
    accounts together, and takes a throttled attempt for the function's own failure, or for done.
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
    """
    service = ministack("services.lambda_svc")
    if limit is not None:
        service._ACCOUNT_CONCURRENCY_CAP = limit  # which GetAccountSettings tells, too
    service._acquire_execution_slot = _slot
    told = service._throttle_response

    def throttled(reason_code: str, msg: str, retry_after: int = 1) -> dict[str, Any]:
        answer: dict[str, Any] = told(reason_code, "Rate Exceeded.", retry_after)
        return {**answer, "body": {**answer["body"], "Type": "User"}}

    service._throttle_response = throttled
    execute = service._execute_function

    def execute_or_wait(function: Json, event: object) -> Any:  # noqa: ANN401 - ministack's result
        end, wait = time.monotonic() + OLDEST_EVENT, FIRST_RETRY
        while (result := execute(function, event)).get("throttle") and not _awaited.get():
            if time.monotonic() + wait > end:
                break
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_RETRY)
        return result

    service._execute_function = execute_or_wait
    _mark_awaited()


def _slot(function: Json, configuration: Json) -> tuple[str | None, str | None]:
    """A place among the functions that run, as ministack counts it, or which limit there is none below."""
    service = ministack("services.lambda_svc")
    key, reserved = service._inflight_key(configuration), service._reserved_concurrency(function, configuration)
    place = f"{key.rpartition(':')[0]}:"  # the account and the region
    with service._inflight_lock:
        running = service._inflight
        at_once = sum(number for name, number in running.items() if name.startswith(place))
        if reserved is not None and running.get(key, 0) >= reserved:
            return None, "function"
        if at_once >= service._ACCOUNT_CONCURRENCY_CAP:
            return None, "account"
        running[key] = running.get(key, 0) + 1
        service._inflight_total += 1
    return key, None


def _mark_awaited() -> None:
    """Mark what is waited for: Invoke unless it is for an event, requests of an HTTP API, tasks of Step Functions."""
    service, apis, machines = (ministack(f"services.{name}") for name in ("lambda_svc", "apigateway", "stepfunctions"))
    invoke, queue = service._invoke, service.invoke_async_with_retry
    answer, task = apis.handle_execute, machines._call_lambda

    async def invoked(*given: object, **named: object) -> Any:  # noqa: ANN401 - ministack's response
        with _as_awaited():
            return await invoke(*given, **named)

    async def answered(*given: object, **named: object) -> Any:  # noqa: ANN401 - ministack's response
        with _as_awaited():
            return await answer(*given, **named)

    def called(*given: object) -> Any:  # noqa: ANN401 - ministack's result
        with _as_awaited():
            return task(*given)

    def queued(*given: object) -> None:
        with _as_awaited(awaited=False):
            queue(*given)

    service._invoke, service.invoke_async_with_retry = invoked, queued
    apis.handle_execute, machines._call_lambda = answered, called


@contextmanager
def _as_awaited(*, awaited: bool = True) -> Iterator[None]:
    token = _awaited.set(awaited)
    try:
        yield
    finally:
        _awaited.reset(token)


def mend_http_api() -> None:
    """Have an HTTP API refuse a body that is larger than API Gateway takes."""
    service = ministack("services.apigateway")
    execute = service.handle_execute

    async def handle(
        api: str, stage: str, path: str, method: str, headers: Json, body: bytes, *rest: object, **named: object
    ) -> Any:  # noqa: ANN401 - ministack's response
        if len(body) > LARGEST_BODY_BYTES:
            return 413, {"Content-Type": "application/json"}, b'{"message":"Request Entity Too Large"}'
        return await execute(api, stage, path, method, headers, body, *rest, **named)

    service.handle_execute = handle
