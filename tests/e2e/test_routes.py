"""Each operation that takes a permission is asked of the running gateway, which its role allows, and a neighbour of it,
signed with the same role's credentials, which the deployed policies refuse.
"""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import psutil
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.aws import IMAGES
from local.gateway import LocalGateway
from local.outside.world import OutsideWorld
from stacks.litellm_config.routes import OPERATIONS

TOLD: Final = [{"role": "user", "content": "Say hello"}]
CONTENTS: Final = [{"role": "user", "parts": [{"text": "Say hello"}]}]
RUNTIME, MANTLE = "bedrock-runtime.{}.amazonaws.com", "bedrock-mantle.{}.api.aws"
CONVERSE: Final = {"messages": [{"role": "user", "content": [{"text": "Say hello"}]}]}
COUNT: Final = {"input": {"converse": CONVERSE}}
TITAN: Final = {"inputText": "Say hello"}


class Signed(NamedTuple):
    """A request to Bedrock, and what it asks IAM for."""

    host: str
    region: str
    path: str
    body: dict[str, Any]
    action: str


def _runtime(region: str, model: str, operation: str, body: dict[str, Any], action: str) -> Signed:
    return Signed(RUNTIME.format(region), region, f"/model/{model}/{operation}", body, action)


def _completion(region: str, model: str) -> Signed:
    return _runtime(region, model, "converse", CONVERSE, "bedrock:InvokeModel")


# By the operation: how it is asked of the gateway, and what is beside it.
ASKED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "chat completions": ("/v1/chat/completions", {"model": "claude-sonnet-5-5", "messages": TOLD}),
    "responses": ("/v1/responses", {"model": "claude-sonnet-5-5", "input": "Say hello"}),
    "counting tokens": ("/v1/messages/count_tokens", {"model": "claude-sonnet-5-5", "messages": TOLD}),
    "messages": ("/v1/messages", {"model": "claude-sonnet-5-5", "max_tokens": 100, "messages": TOLD}),
    "generating content": ("/v1beta/models/claude-sonnet-5-5:generateContent", {"contents": CONTENTS}),
    "embeddings": ("/v1/embeddings", {"model": "titan-embed-text-v2", "input": "Say hello"}),
}
BESIDE: Final[dict[str, Signed]] = {
    "a profile that is not listed": _completion("us-west-2", "us.anthropic.claude-opus-4-6-v1"),
    "a listed profile from another region": _completion("us-west-1", "us.anthropic.claude-sonnet-5-5"),
    "the same model's other profile": _completion("us-west-2", "global.anthropic.claude-sonnet-5-5"),
    "another model of a kind": _runtime(
        "us-west-2", "amazon.titan-embed-text-v1", "invoke", TITAN, "bedrock:InvokeModel"
    ),
    "counting with a model that is called": _runtime(
        "us-west-2", "anthropic.claude-sonnet-5-5", "count-tokens", COUNT, "bedrock:CountTokens"
    ),
    "counting in another region": Signed(
        MANTLE.format("us-west-2"),
        "us-west-2",
        "/anthropic/v1/messages/count_tokens",
        {"model": "anthropic.claude-opus-5-5", "messages": TOLD},
        "bedrock-mantle:CountTokens",
    ),
}


@pytest.mark.parametrize("operation", ASKED)
def test_an_operation_is_allowed(gateway: LocalGateway, outside: OutsideWorld, user: str, operation: str) -> None:
    path, body = ASKED[operation]
    answer = gateway.api("POST", path, key=gateway.user_key(user), json=body)
    assert answer.status_code == 200, answer.text
    assert {call.provider.partition("-")[0] for call in outside.calls() if call.model} == {"bedrock"}
    assert 403 not in [call.status for call in outside.calls()]


def test_every_operation_of_a_listed_model_is_tried(gateway: LocalGateway) -> None:
    listed = [model for model in gateway.config.models if model.by_role]
    taken = {operation.name for operation in OPERATIONS if "bedrock" in operation.takes and operation.is_open(listed)}
    assert taken == set(ASKED)


class Task(NamedTuple):
    """The credentials of the task's role, as ECS hands them to its container, and where a role is assumed by them."""

    credentials: Credentials
    sts: str


@pytest.fixture(scope="module")
def task(gateway: LocalGateway) -> Task:
    variables = next(_variables(gateway))
    headers = {"Authorization": variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]}
    given = httpx.get(variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers=headers, trust_env=False).json()
    credentials = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["Token"])
    return Task(credentials, variables["AWS_ENDPOINT_URL_STS"])


@pytest.fixture(scope="module")
def as_task(gateway: LocalGateway, task: Task) -> Iterator[Callable[[Signed], httpx.Response]]:
    """Asks Bedrock as the task does."""
    trusted = ssl.create_default_context(cafile=str(gateway.outside.ca_file))
    with httpx.Client(proxy=gateway.outside.proxy_url, verify=trusted, trust_env=False, timeout=60) as http:

        def ask(signed: Signed) -> httpx.Response:
            own = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
            url = f"https://{signed.host}{signed.path}"
            request = AWSRequest("POST", url, own, json.dumps(signed.body))
            SigV4Auth(task.credentials, "bedrock", signed.region).add_auth(request)
            return http.post(url, content=request.body, headers=dict(request.headers.items()))

        yield ask


def _variables(gateway: LocalGateway) -> Iterator[dict[str, str]]:
    """The variables of each process of a task that knows where its credentials are."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            variables = process.environ()
            in_container = Path(process.cwd()).is_relative_to(gateway.state / "aws" / IMAGES)
            if in_container and "AWS_CONTAINER_CREDENTIALS_FULL_URI" in variables:
                yield variables


def test_the_tasks_credentials_call_what_is_listed(as_task: Callable[[Signed], httpx.Response]) -> None:
    answer = as_task(_completion("us-west-2", "us.anthropic.claude-sonnet-5-5"))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("neighbour", BESIDE)
def test_a_neighbour_is_refused(as_task: Callable[[Signed], httpx.Response], neighbour: str) -> None:
    answer = as_task(BESIDE[neighbour])
    assert answer.status_code == 403, answer.text
    assert f"is not authorized to perform: {BESIDE[neighbour].action}" in answer.text
