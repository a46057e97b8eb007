"""The functions behind the LiteLLM key custom resource, against a LiteLLM and a Parameter Store of our own."""

import json
import logging
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.stub import Stubber

from tests.clock import for_this_thread
from tests.unit.handlers import load_handler, stub_of

STACK = "arn:aws:cloudformation:ap-northeast-1:123456789012:stack/litellm-dev-onboarding/0123"
PREFIX = "/litellm/dev"
MASTER_KEY = "sk-the-master-key-of-this-test"
ROUTES = ["/user/new", "/user/info"]
USER = "onboarding-service"
LIMITS = '{"max_budget": 0.05, "budget_duration": "1d", "models": ["gpt", "claude"]}'
VARIABLES = {
    "PARAMETER_PREFIX": PREFIX,
    "KEY": "ONBOARDING_KEY",
    "KEY_OF": "the onboarding functions",
    "USER_ID": USER,
    "USER_ROLE": "proxy_admin",
}
NOW = 1_000_000.0


class LiteLlm(ThreadingHTTPServer):
    """What the function asks of LiteLLM, with the answers that the real one gives (1.106.12)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.users: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, dict[str, Any]] = {}  # by alias
        self.values: list[str] = []
        self.calls: list[str] = []
        self.failing: dict[str, int] = {}  # a status instead of an answer, by path

    def answer(self, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, Any]:
        match path:
            case "/user/new":
                if body["user_id"] in self.users:
                    return 409, {"error": {"code": "409"}}
                self.users[body["user_id"]] = body
                return 200, {"user_id": body["user_id"], "key": ""}
            case "/user/update":
                self.users[body["user_id"]] |= body
                return 200, {"user_id": body["user_id"]}
            case "/user/info":
                (user,) = query["user_id"]
                if user not in self.users:
                    return 404, {"error": {"code": "404"}}
                return 200, {"user_id": user, "keys": [{"key_alias": alias} for alias in self.keys]}
            case "/user/delete":
                found = [self.users.pop(user, None) for user in body["user_ids"]]
                return (200, len(found)) if all(found) else (404, {"detail": "User not found"})
            case "/key/generate":
                if body["key_alias"] in self.keys:
                    return 400, {"error": {"code": "400"}}
                self.keys[body["key_alias"]] = body
                self.values.append(f"sk-made-in-this-test-{len(self.values)}")
                return 200, {"key": self.values[-1], "key_alias": body["key_alias"]}
            case "/key/delete":
                (alias,) = body["key_aliases"]
                return (200, {"deleted_keys": str(alias)}) if self.keys.pop(alias, None) else (404, {"error": "none"})
        return 404, {"detail": "Not Found"}


class _Request(BaseHTTPRequestHandler):
    def _serve(self) -> None:
        server = self.server
        assert isinstance(server, LiteLlm)
        parts = urlsplit(self.path)
        text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.calls.append(parts.path)
        if parts.path in server.failing:
            status, answer = server.failing[parts.path], {"error": f"see {MASTER_KEY}"}
        elif self.headers["Authorization"] != f"Bearer {MASTER_KEY}":
            status, answer = 401, {"error": "none"}
        else:
            status, answer = server.answer(parts.path, parse_qs(parts.query), json.loads(text or "{}"))
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _serve  # noqa: N815 - the names that the server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the test's output for failures."""


@pytest.fixture(scope="module")
def handler() -> ModuleType:
    """The function's module."""
    return load_handler("litellm_key")


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the deployment gives the functions."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def litellm(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiteLlm]:
    with LiteLlm() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setenv("LITELLM_URL", server.url)
        for_this_thread(monkeypatch, time=lambda: NOW)
        yield server
        server.shutdown()


ssm = stub_of("ssm")


def _event(request: str = "Create", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - CloudFormation's JSON
    properties = {"Label": "1", "AllowedRoutes": ROUTES}
    return {"RequestType": request, "StackId": STACK, "ResourceProperties": properties} | more


def _named(handler: ModuleType, event: dict[str, Any]) -> dict[str, Any]:
    """The event as the framework hands it on, with what `on_event` answered."""
    return event | dict(handler.on_event(event, None))


def _has_master_key(ssm: Stubber, value: str = MASTER_KEY) -> None:
    name = f"{PREFIX}/LITELLM_MASTER_KEY"
    ssm.add_response(
        "get_parameter", {"Parameter": {"Name": name, "Value": value}}, {"Name": name, "WithDecryption": True}
    )


def _description(alias: str) -> str:
    return f"LiteLLM key {alias} of the onboarding functions, made by the deployment"


def _stored(alias: str, value: str) -> dict[str, Any]:
    return {
        "Name": f"{PREFIX}/ONBOARDING_KEY",
        "Value": value,
        "Type": "SecureString",
        "Overwrite": True,
        "Description": _description(alias),
    }


def _has_parameter(ssm: Stubber, *aliases: str) -> None:
    """The parameter has a version for each of these keys, the last one being the current."""
    name = f"{PREFIX}/ONBOARDING_KEY"
    versions = [
        {"Name": name, "Version": number, "Description": _description(alias)} for number, alias in enumerate(aliases, 1)
    ]
    asked = {"Name": name, "WithDecryption": False}
    ssm.add_response("get_parameter_history", {"Parameters": versions[:1], "NextToken": "2"}, asked)
    ssm.add_response("get_parameter_history", {"Parameters": versions[1:]}, asked | {"NextToken": "2"})


def _expects_deletion(ssm: Stubber) -> None:
    ssm.add_response("delete_parameter", {}, {"Name": f"{PREFIX}/ONBOARDING_KEY"})


def _has_no_parameter(ssm: Stubber) -> None:
    ssm.add_client_error("get_parameter_history", "ParameterNotFound")


# Names


def test_name_follows_from_what_the_key_is(handler: ModuleType) -> None:
    """So that a rollback comes back to it, and CloudFormation removes a key only for another."""

    def name(**properties: object) -> str:
        event = _event()
        event["ResourceProperties"] |= properties
        return str(handler.on_event(event, None)["PhysicalResourceId"])

    assert name() == name()
    assert name() == handler.on_event(_event("Update", PhysicalResourceId="onboarding-old"), None)["PhysicalResourceId"]
    names = [name(), name(Label="2"), name(AllowedRoutes=["/user/new"]), name(Limits="{}"), name(Limits=LIMITS)]
    assert len(set(names)) == len(names)


def test_name_tells_whose_it_is(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"onboarding-[0-9a-f]{12}", handler.on_event(_event(), None)["PhysicalResourceId"])
    monkeypatch.setenv("USER_ID", "usage-service")
    assert re.fullmatch(r"usage-[0-9a-f]{12}", handler.on_event(_event(), None)["PhysicalResourceId"])


def test_deletion_is_of_the_key_that_there_is(handler: ModuleType) -> None:
    event = _event("Delete", PhysicalResourceId="onboarding-old")
    assert handler.on_event(event, None)["PhysicalResourceId"] == "onboarding-old"


# Making


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_key_is_made(handler: ModuleType, litellm: LiteLlm, ssm: Stubber, request_type: str) -> None:
    event = _named(handler, _event(request_type, PhysicalResourceId="onboarding-old"))
    alias = event["PhysicalResourceId"]
    _has_master_key(ssm)
    ssm.add_response("put_parameter", {"Version": 1}, _stored(alias, "sk-made-in-this-test-0"))
    assert handler.is_complete(event, None) == {"IsComplete": True}
    assert litellm.users[USER]["user_role"] == "proxy_admin"
    assert litellm.users[USER]["auto_create_key"] is False
    assert litellm.keys == {alias: {"key_alias": alias, "user_id": USER, "allowed_routes": ROUTES}}


def test_key_of_another(handler: ModuleType, litellm: LiteLlm, ssm: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the environment of the functions, another user, role and parameter."""
    others = ("USAGE_KEY", "the usage functions", "usage-service", "proxy_admin_viewer")
    for variable, value in zip(("KEY", "KEY_OF", "USER_ID", "USER_ROLE"), others, strict=True):
        monkeypatch.setenv(variable, value)
    event = _named(handler, _event())
    alias = event["PhysicalResourceId"]
    _has_master_key(ssm)
    stored = _stored(alias, "sk-made-in-this-test-0") | {
        "Name": f"{PREFIX}/USAGE_KEY",
        "Description": f"LiteLLM key {alias} of the usage functions, made by the deployment",
    }
    ssm.add_response("put_parameter", {"Version": 1}, stored)
    assert handler.is_complete(event, None) == {"IsComplete": True}
    assert litellm.users["usage-service"]["user_role"] == "proxy_admin_viewer"
    assert litellm.keys[alias]["user_id"] == "usage-service"


@pytest.mark.parametrize("there", [False, True], ids=["new", "there already"])
def test_limits_are_the_users_and_the_keys(handler: ModuleType, litellm: LiteLlm, ssm: Stubber, there: bool) -> None:
    """Of a user who was there with other ones too; as numbers, where CloudFormation knows texts only."""
    if there:
        litellm.users[USER] = {"user_id": USER, "max_budget": 1}
    event = _event()
    event["ResourceProperties"] |= {"Limits": LIMITS}
    event = _named(handler, event)
    _has_master_key(ssm)
    ssm.add_response("put_parameter", {"Version": 1}, _stored(event["PhysicalResourceId"], "sk-made-in-this-test-0"))
    assert handler.is_complete(event, None) == {"IsComplete": True}
    for limited in (litellm.users[USER], litellm.keys[event["PhysicalResourceId"]]):
        assert {name: limited[name] for name in ("max_budget", "budget_duration", "models")} == json.loads(LIMITS)


def test_without_limits_the_user_is_not_changed(handler: ModuleType, litellm: LiteLlm, ssm: Stubber) -> None:
    event = _named(handler, _event())
    _has_master_key(ssm)
    ssm.add_response("put_parameter", {"Version": 1}, _stored(event["PhysicalResourceId"], "sk-made-in-this-test-0"))
    handler.is_complete(event, None)
    assert "/user/update" not in litellm.calls


def test_made_again_it_is_still_one_key(handler: ModuleType, litellm: LiteLlm, ssm: Stubber) -> None:
    event = _named(handler, _event())
    for number in range(2):
        _has_master_key(ssm)
        stored = _stored(event["PhysicalResourceId"], f"sk-made-in-this-test-{number}")
        ssm.add_response("put_parameter", {"Version": number + 1}, stored)
        assert handler.is_complete(event, None) == {"IsComplete": True}
    assert list(litellm.keys) == [event["PhysicalResourceId"]]
    assert list(litellm.users) == [USER]


def test_a_key_that_cannot_be_stored_is_removed(handler: ModuleType, litellm: LiteLlm, ssm: Stubber) -> None:
    event = _named(handler, _event())
    _has_master_key(ssm)
    ssm.add_client_error("put_parameter", "InternalServerError")
    with pytest.raises(handler.LiteLlmKeyError, match="was not made, since PutParameter failed with InternalServer"):
        handler.is_complete(event, None)
    assert litellm.values
    assert not litellm.keys
    # CloudFormation then deletes what it could not make.
    _has_master_key(ssm)
    _has_no_parameter(ssm)
    assert handler.is_complete(event | {"RequestType": "Delete"}, None) == {"IsComplete": True}
    assert not litellm.users


def test_without_a_master_key(handler: ModuleType, litellm: LiteLlm, ssm: Stubber) -> None:
    ssm.add_client_error("get_parameter", "ParameterNotFound")
    with pytest.raises(handler.LiteLlmKeyError, match=r"^there is no parameter .*MASTER_KEY: make sec"):
        handler.is_complete(_named(handler, _event()), None)
    assert not litellm.calls


def test_another_master_key(handler: ModuleType, litellm: LiteLlm, ssm: Stubber) -> None:
    _has_master_key(ssm, "sk-another-one")
    with pytest.raises(handler.LiteLlmKeyError, match=r"does not accept the master key .* start them anew$"):
        handler.is_complete(_named(handler, _event()), None)
    assert not litellm.users


@pytest.mark.parametrize(
    ("path", "users"), [("/user/new", 0), ("/key/delete", 1), ("/key/generate", 1)], ids=lambda value: str(value)
)
def test_refused(handler: ModuleType, litellm: LiteLlm, ssm: Stubber, path: str, users: int) -> None:
    litellm.failing[path] = 400
    _has_master_key(ssm)
    with pytest.raises(handler.LiteLlmKeyError, match=rf"^LiteLLM refused {path} with status 400: see") as raised:
        handler.is_complete(_named(handler, _event()), None)
    assert MASTER_KEY not in str(raised.value)
    assert not litellm.keys
    assert len(litellm.users) == users


# Waiting


@pytest.mark.parametrize("status", [429, 500, 503])
def test_waits_until_it_answers(handler: ModuleType, litellm: LiteLlm, ssm: Stubber, status: int) -> None:
    event = _named(handler, _event())
    litellm.failing["/key/generate"] = status
    _has_master_key(ssm)
    assert handler.is_complete(event, None) == {"IsComplete": False}
    litellm.failing.clear()
    _has_master_key(ssm)
    ssm.add_response("put_parameter", {"Version": 1}, _stored(event["PhysicalResourceId"], "sk-made-in-this-test-0"))
    assert handler.is_complete(event, None) == {"IsComplete": True}


def test_gives_up_after_ten_minutes(
    handler: ModuleType, litellm: LiteLlm, ssm: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = _named(handler, _event())
    litellm.shutdown()
    litellm.server_close()
    _has_master_key(ssm)
    for_this_thread(monkeypatch, time=lambda: NOW + 599)
    assert handler.is_complete(event, None) == {"IsComplete": False}
    _has_master_key(ssm)
    for_this_thread(monkeypatch, time=lambda: NOW + 600)
    expected = rf"^LiteLLM did not answer at {litellm.url} within 10 minutes \(\w+\), .*: see the log"
    with pytest.raises(handler.LiteLlmKeyError, match=expected):
        handler.is_complete(event, None)


# Removing


def _made(litellm: LiteLlm, *aliases: str) -> None:
    litellm.users[USER] = {"user_id": USER}
    litellm.keys |= {alias: {"key_alias": alias} for alias in aliases}


def test_the_old_key_goes_alone(handler: ModuleType, litellm: LiteLlm, ssm: Stubber) -> None:
    _made(litellm, "onboarding-old", "onboarding-new")
    _has_master_key(ssm)
    _has_parameter(ssm, "onboarding-old", "onboarding-new")
    event = _named(handler, _event("Delete", PhysicalResourceId="onboarding-old"))
    assert handler.is_complete(event, None) == {"IsComplete": True}
    assert set(litellm.keys) == {"onboarding-new"}
    assert set(litellm.users) == {USER}


@pytest.mark.parametrize("there", [True, False], ids=["there", "gone already"])
def test_with_the_last_key_goes_everything(handler: ModuleType, litellm: LiteLlm, ssm: Stubber, there: bool) -> None:
    if there:
        _made(litellm, "onboarding-new")
    _has_master_key(ssm)
    _has_parameter(ssm, "onboarding-old", "onboarding-new")
    _expects_deletion(ssm)
    event = _named(handler, _event("Delete", PhysicalResourceId="onboarding-new"))
    assert handler.is_complete(event, None) == {"IsComplete": True}
    assert not litellm.keys
    assert not litellm.users


def test_removed_without_litellm(
    handler: ModuleType, litellm: LiteLlm, ssm: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = _named(handler, _event("Delete", PhysicalResourceId="onboarding-new"))
    litellm.shutdown()
    litellm.server_close()
    _has_master_key(ssm)
    assert handler.is_complete(event, None) == {"IsComplete": False}
    for_this_thread(monkeypatch, time=lambda: NOW + 120)
    _has_master_key(ssm)
    _has_parameter(ssm, "onboarding-old", "onboarding-new")
    _expects_deletion(ssm)
    assert handler.is_complete(event, None) == {"IsComplete": True}


def test_removed_without_a_master_key(handler: ModuleType, litellm: LiteLlm, ssm: Stubber) -> None:
    ssm.add_client_error("get_parameter", "ParameterNotFound")
    _has_no_parameter(ssm)
    event = _named(handler, _event("Delete", PhysicalResourceId="onboarding-new"))
    assert handler.is_complete(event, None) == {"IsComplete": True}
    assert not litellm.calls


# Secrecy


def test_no_key_in_answers_and_logs(
    handler: ModuleType, litellm: LiteLlm, ssm: Stubber, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    event = _named(handler, _event())
    _has_master_key(ssm)
    ssm.add_response("put_parameter", {"Version": 1}, _stored(event["PhysicalResourceId"], "sk-made-in-this-test-0"))
    answer = handler.is_complete(event, None)
    (value,) = litellm.values
    for secret in (value, MASTER_KEY):
        assert secret not in json.dumps([event, answer])
        assert not [record for record in caplog.records if record.name == "root" and secret in record.getMessage()]
