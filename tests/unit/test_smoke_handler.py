"""The smoke test's function, against a gateway and a Parameter Store of our own."""

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from tests.unit.handlers import load_handler, stub_of

KEY = "sk-the-key-of-this-test"
PARAMETER = "/litellm/dev/SMOKE_KEY"
VERSION = "1.106.12"
PROVIDERS = ("azure", "bedrock", "vertex_ai")
# Name, model, mode and price: the dearest first, an embedding model cheapest, one that two providers share, and one
# that LiteLLM knows nothing of.
MODELS = (
    ("large", "bedrock/anthropic.large", "chat", 2e-5),
    ("small", "bedrock/anthropic.small", "chat", 5e-7),
    ("embedding", "bedrock/amazon.embedding", "embedding", 0.0),
    ("shared", "bedrock/anthropic.shared", "chat", 1e-9),
    ("shared", "azure/shared", "chat", 1e-9),
    ("deployment", "azure/deployment", None, None),
    ("gpt", "azure/gpt", "chat", 5e-7),
    ("flash", "vertex_ai/flash", "chat", 4e-6),
)
ASKED = {"azure": "gpt", "bedrock": "small", "vertex_ai": "flash"}
COST = 0.000012
PAGE = '<html><title>LiteLLM Dashboard</title><script src="/x/a.js"></script><script src="/x/b.js" async=""></script>'
NAMES = [
    "health",
    "sign-in page",
    "models",
    *(f"completion by {provider}" for provider in PROVIDERS),
    "version",
    "spend",
]
Run = Callable[..., dict[str, Any]]
Answer = tuple[int, str, dict[str, str], bytes]


def _json(content: object, status: int = 200, **headers: str) -> Answer:
    return status, "application/json", headers, json.dumps(content).encode()


def _error(status: int, kind: str) -> Answer:
    """As LiteLLM words it: the message may quote more than a finding should."""
    return _json(
        {"error": {"message": f"no, {KEY} may not ask 'Answer with'", "type": kind, "code": str(status)}}, status
    )


class Gateway(ThreadingHTTPServer):
    """What the function asks of the gateway, with the answers that LiteLLM 1.106.12 gives."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.spend = 0.1  # before
        self.writes_spend = True
        self.asked: list[tuple[str, dict[str, Any]]] = []  # paths and bodies
        self.keys: dict[str, str | None] = {}  # the Authorization of each path
        # Answers by path or model, the last of them for ever; None for the usual one.
        self.instead: dict[str, list[Answer | None]] = {}
        self.headers: dict[str, str] = {}  # other ones of completions
        self.costs: dict[str, float] = {}  # other ones of a model

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        for place in (path, str(body.get("model"))):
            answers = self.instead.get(place, [None])
            if answer := answers.pop(0) if len(answers) > 1 else answers[0]:
                return answer
        match path:
            case "/health/readiness":
                return _json({"status": "healthy", "db": "connected"})
            case "/ui/login/":
                return 200, "text/html; charset=utf-8", {}, PAGE.encode()
            case "/x/a.js" | "/x/b.js":
                return 200, "text/javascript; charset=utf-8", {}, b"0"
            case "/litellm/.well-known/litellm-ui-config":
                return _json({"admin_ui_disabled": False})
            case "/v1/model/info":
                return _json({"data": [_listed(*model) for model in MODELS]})
            case "/v2/user/info":
                return _json({"user_id": "smoke-test", "spend": self.spend})
            case "/v1/chat/completions" | "/v1/responses" | "/v1/embeddings":
                return self.complete(body["model"], path)
        return _json({"detail": "Not Found"}, 404)

    def complete(self, model: str, path: str) -> Answer:
        if self.writes_spend:
            self.spend += COST
        maker = next(full for name, full, *_ in MODELS if name == model)
        headers = {
            "x-litellm-model-name": maker,
            "x-litellm-attempted-fallbacks": "0",
            "x-litellm-version": VERSION,
            "x-litellm-response-cost": str(self.costs.get(model, COST)),
        }
        answers: dict[str, dict[str, Any]] = {
            "/v1/chat/completions": {
                "choices": [{"message": {"content": "OK"}}],
                "usage": {"prompt_tokens": 8, "completion_tokens": 2},
            },
            "/v1/responses": {"output": [{"type": "message"}], "usage": {"input_tokens": 8, "output_tokens": 2}},
            "/v1/embeddings": {"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 8}},
        }
        return _json(answers[path], 200, **headers | self.headers)


def _listed(name: str, model: str, mode: str | None, price: float | None) -> dict[str, Any]:
    info = {"id": f"{name} of {model}", "mode": mode, "output_cost_per_token": price}
    return {"model_name": name, "litellm_params": {"model": model}, "model_info": info}


class _Request(BaseHTTPRequestHandler):
    def _serve(self) -> None:
        server = self.server
        assert isinstance(server, Gateway)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        server.asked.append((self.path, body))
        server.keys[self.path] = self.headers["Authorization"]
        status, kind, headers, data = server.answer(self.path, body)
        self.send_response(status)
        for name, value in (headers | {"Content-Type": kind, "Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = _serve  # noqa: N815 - the names that the server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the test's output for failures."""


@pytest.fixture(scope="module")
def handler() -> ModuleType:
    """The function's module."""
    return load_handler("smoke")


ssm = stub_of("ssm")


@pytest.fixture
def gateway(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """A healthy gateway, as the function's environment has it; what it waits for goes by at once."""
    clock = [0.0]
    waits = SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    monkeypatch.setattr(handler, "time", waits)
    with Gateway() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        variables = {
            "PARAMETER_PREFIX": "/litellm/dev",
            "KEY": "SMOKE_KEY",
            "GATEWAY_URL": server.url,
            "LITELLM_VERSION": VERSION,
            "PROVIDERS": " ".join(PROVIDERS),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield server
        server.shutdown()


@pytest.fixture
def run(handler: ModuleType, gateway: Gateway, ssm: Stubber, caplog: pytest.LogCaptureFixture) -> Run:
    """Run the test, of which no finding and no line of the log may have the key or the prompt in it."""
    asked = {"Name": PARAMETER, "WithDecryption": True}
    caplog.set_level(logging.INFO)

    def once(*, key: bool = True) -> dict[str, Any]:
        if key:
            ssm.add_response("get_parameter", {"Parameter": {"Name": PARAMETER, "Value": KEY}}, asked)
        else:
            ssm.add_client_error("get_parameter", "ParameterNotFound", expected_params=asked)
        answer: dict[str, Any] = json.loads(json.dumps(handler.handler({}, None)))
        for text in (json.dumps(answer), caplog.text):
            assert KEY not in text
            assert handler.PROMPT not in text
            assert "may not ask" not in text
        assert answer["url"] == gateway.url
        return answer

    return once


def _failed(answer: dict[str, Any]) -> dict[str, str]:
    """The findings of the checks that failed; nothing else makes a test fail."""
    found = {check["name"]: check["detail"] for check in answer["checks"] if not check["passed"]}
    assert answer["passed"] is not bool(found)
    return found


def test_a_healthy_gateway_passes(run: Run, gateway: Gateway) -> None:
    answer = run()
    assert (answer["passed"], answer["version"]) == (True, VERSION)
    assert answer["cost"] == pytest.approx(3 * COST)
    assert [check["name"] for check in answer["checks"]] == NAMES
    assert all(set(check) == {"name", "passed", "detail", "seconds"} for check in answer["checks"])
    details = {check["name"]: check["detail"] for check in answer["checks"]}
    assert details["models"] == "to be asked: gpt (azure), small (bedrock), flash (vertex_ai)"
    assert details["completion by azure"] == "gpt answered with 2 tokens for 0.000012 USD"
    assert details["spend"].startswith("0.000036 USD are in the user's spend after ")


def test_each_provider_is_asked_once_without_fallback_and_retry(run: Run, gateway: Gateway) -> None:
    run()
    bodies = [body for path, body in gateway.asked if path == "/v1/chat/completions"]
    assert sorted(body["model"] for body in bodies) == sorted(ASKED.values())
    for body in bodies:
        assert (body["disable_fallbacks"], body["num_retries"]) == (True, 0)
        assert body["max_completion_tokens"] <= 256


def test_the_key_goes_only_where_one_is_asked_for(run: Run, gateway: Gateway) -> None:
    run()
    signed = {path for path, key in gateway.keys.items() if key == f"Bearer {KEY}"}
    assert signed == {"/v1/model/info", "/v2/user/info", "/v1/chat/completions"}
    assert all(key is None for path, key in gateway.keys.items() if path not in signed)


# Where the gateway may sleep


def _sleeper(handler: ModuleType, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], **more: str) -> Stubber:
    """The function that wakes, with what it answers; given in place of the client that the handler makes."""
    client = boto3.client(
        "lambda", region_name="ap-northeast-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    monkeypatch.setenv("SLEEP_FUNCTION", "litellm-dev-sleep")
    monkeypatch.setattr(handler.boto3, "client", lambda name, **_: client)
    stubber = Stubber(client)
    asked = {"FunctionName": "litellm-dev-sleep", "Payload": b'{"to": "awake"}'}
    given = {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode()), **more}
    stubber.add_response("invoke", given, asked)
    return stubber


@pytest.mark.parametrize(
    ("was", "detail"), [("asleep", "it slept, and was woken within 140 s"), ("awake", "it was awake")]
)
def test_a_gateway_that_may_sleep_is_woken_first(
    run: Run, handler: ModuleType, monkeypatch: pytest.MonkeyPatch, was: str, detail: str
) -> None:
    with _sleeper(handler, monkeypatch, {"was": was, "is": "awake", "seconds": 140}):
        answer = run()
    assert [check["name"] for check in answer["checks"]] == ["awake", *NAMES]
    assert (answer["passed"], answer["checks"][0]["detail"]) == (True, detail)


def test_a_gateway_that_does_not_wake_has_failed(
    run: Run, handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"errorMessage": "no task became healthy", "errorType": "SleepError"}
    with _sleeper(handler, monkeypatch, answer, FunctionError="Unhandled"):
        found = _failed(run())
    assert found["awake"].startswith(
        "litellm-dev-sleep did not wake the gateway: no task became healthy: look at ECS's"
    )


# What a provider does wrong


@pytest.mark.parametrize(
    ("status", "kind", "attempts"),
    [
        (500, "internal_server_error", 3),
        (429, "throttling_error", 3),
        (401, "authentication_error", 1),
        (403, "permission_error", 1),
    ],
)
def test_a_broken_provider(run: Run, gateway: Gateway, status: int, kind: str, attempts: int) -> None:
    """Named, with what LiteLLM says of it; the others are asked all the same, and nothing is waited for any more."""
    gateway.instead["gpt"] = [_error(status, kind)]
    answer = run()
    times = f", {attempts} times" if attempts > 1 else ""
    assert _failed(answer) == {
        "completion by azure": f"a completion by gpt was answered with status {status} ({kind}{times}): look at the "
        "credentials, quotas and status of azure, the models that its account may use, and the log of the gateway's "
        "tasks"
    }
    assert [check["name"] for check in answer["checks"]] == NAMES[:-1]
    assert sum(body.get("model") == "gpt" for _, body in gateway.asked) == attempts
    assert answer["cost"] == pytest.approx(2 * COST)


def test_a_provider_that_was_busy_for_a_moment(run: Run, gateway: Gateway) -> None:
    gateway.instead["flash"] = [_error(503, "internal_server_error"), None]
    assert run()["passed"]


def test_an_answer_of_another_provider(run: Run, gateway: Gateway) -> None:
    answered = gateway.complete("small", "/v1/chat/completions")
    gateway.instead["flash"] = [answered]
    assert _failed(run()) == {
        "completion by vertex_ai": "a completion by flash was answered by bedrock/anthropic.small, not by vertex_ai: "
        "look at the fallbacks of config.yaml"
    }


def test_an_answer_without_tokens(run: Run, gateway: Gateway) -> None:
    status, kind, headers, _ = gateway.complete("small", "/v1/chat/completions")
    gateway.instead["small"] = [(status, kind, headers, b'{"choices": [], "usage": null}')]
    assert "answered with no token: look at" in _failed(run())["completion by bedrock"]


def test_a_completion_that_costs_nothing(run: Run, gateway: Gateway) -> None:
    gateway.headers = {"x-litellm-response-cost": "0.0"}
    failed = _failed(run())
    assert set(failed) == {f"completion by {provider}" for provider in PROVIDERS}
    assert all("cost nothing" in detail and "base_model" in detail for detail in failed.values())


def test_a_provider_whose_price_is_0_may_cost_nothing(
    run: Run, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.costs["flash"] = 0.0
    assert set(_failed(run())) == {"completion by vertex_ai"}
    monkeypatch.setenv("FREE_PROVIDERS", "vertex_ai")
    answer = run()
    assert answer["passed"], answer
    detail = {check["name"]: check["detail"] for check in answer["checks"]}
    assert detail["completion by vertex_ai"] == "flash answered with 2 tokens for nothing, as its price is 0"
    assert "are in the user's spend" in detail["spend"]


def test_where_nothing_costs_anything_no_spend_is_waited_for(
    run: Run, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.headers = {"x-litellm-response-cost": "0.0"}
    monkeypatch.setenv("FREE_PROVIDERS", " ".join(PROVIDERS))
    answer = run()
    assert answer["passed"], answer
    assert answer["checks"][-1]["detail"] == "nothing was to be spent: each model that was asked has a price of 0"


# The version


def test_another_version(run: Run, gateway: Gateway) -> None:
    gateway.headers = {"x-litellm-version": "1.105.0"}
    answer = run()
    assert answer["version"] == "1.105.0"
    assert _failed(answer) == {
        "version": "LiteLLM 1.105.0 answered the completions, not 1.106.12, which was deployed: look at the tasks of "
        "the ECS service and at the image of their task definition"
    }


def test_no_answer_that_would_tell_the_version(run: Run, gateway: Gateway) -> None:
    gateway.instead["/v1/chat/completions"] = [_error(401, "authentication_error")]
    answer = run()
    assert answer["version"] == ""
    assert "no completion was answered" in _failed(answer)["version"]


# Health and the sign-in page


def test_without_its_database(run: Run, gateway: Gateway) -> None:
    gateway.instead["/health/readiness"] = [_json({"status": "connected", "db": "Not connected"})]
    assert _failed(run()) == {
        "health": f"GET {gateway.url}/health/readiness was answered with status connected and database unknown, not "
        "healthy and connected: look at the database and at the log of the gateway's tasks"
    }


def test_not_ready(run: Run, gateway: Gateway) -> None:
    gateway.instead["/health/readiness"] = [(503, "text/html", {}, b"<html>")]
    assert "was answered with status 503 (unknown, 3 times): look at the log of" in _failed(run())["health"]


@pytest.mark.parametrize(
    ("path", "answer", "finding"),
    [
        (
            "/ui/login/",
            (404, "text/html", {}, b"LiteLLM"),
            "/ui/login/ was answered with status 404 (unknown): look at the image",
        ),
        (
            "/ui/login/",
            (200, "text/html", {}, b"<html>LiteLLM"),
            "/ui/login/ was answered with another page than LiteLLM",
        ),
        ("/x/b.js", (404, "text/html", {}, b""), "/x/b.js was answered with status 404"),
        ("/x/b.js", (200, "text/html", {}, b""), "/x/b.js was not answered with a script, but text/html: look at"),
        (
            "/litellm/.well-known/litellm-ui-config",
            _json({"admin_ui_disabled": True}),
            "does not say that people may sign in",
        ),
    ],
    ids=["no page", "another page", "no script", "another script", "turned off"],
)
def test_no_sign_in_page(run: Run, gateway: Gateway, path: str, answer: Answer, finding: str) -> None:
    gateway.instead[path] = [answer]
    failed = _failed(run())
    assert set(failed) == {"sign-in page"}
    assert finding in failed["sign-in page"]


# The key, the models


def test_without_a_key(run: Run) -> None:
    answer = run(key=False)
    assert [check["name"] for check in answer["checks"]] == NAMES[:3]
    assert _failed(answer)["models"].startswith(
        f"there is no parameter {PARAMETER} with the key of the smoke test: raise"
    )


@pytest.mark.parametrize(
    ("refusal", "place"),
    [
        (_error(401, "token_not_found_in_db"), "the key of the smoke test: raise LABEL"),
        (_json({"detail": f"Virtual key {KEY} may not ask this"}, 403), "the key of the smoke test: raise LABEL"),
        (_error(422, "budget_exceeded"), "the budget of the smoke test in stacks/smoke.py"),
        ((403, "text/html", {}, b"<h1>403 Forbidden"), "the log of the web ACL"),
    ],
    ids=["unknown", "route", "budget", "web ACL"],
)
def test_refused(run: Run, gateway: Gateway, refusal: Answer, place: str) -> None:
    gateway.instead["/v1/model/info"] = [refusal]
    assert f": look at {place}" in _failed(run())["models"]


def test_models_that_are_missing(run: Run, gateway: Gateway) -> None:
    listed = [_listed(*model) for model in MODELS if not model[1].startswith("vertex_ai/")]
    gateway.instead["/v1/model/info"] = [_json({"data": listed})]
    assert "listed no model of vertex_ai, though config.yaml has some" in _failed(run())["models"]


@pytest.mark.parametrize(("mode", "check"), [("responses", "completion"), ("embedding", "embedding")])
def test_a_provider_without_chat_models_is_asked_for_what_it_has(
    run: Run, gateway: Gateway, mode: str, check: str
) -> None:
    listed = [_listed(name, model, mode if name == "flash" else of, price) for name, model, of, price in MODELS]
    gateway.instead["/v1/model/info"] = [_json({"data": listed})]
    answer = run()
    assert answer["passed"]
    assert f"{check} by vertex_ai" in [check["name"] for check in answer["checks"]]


def test_a_provider_whose_models_it_cannot_ask_is_left_out(run: Run, gateway: Gateway) -> None:
    listed = [_listed(name, model, "rerank" if name == "flash" else of, price) for name, model, of, price in MODELS]
    gateway.instead["/v1/model/info"] = [_json({"data": listed})]
    answer = run()
    assert answer["passed"]
    assert not [check["name"] for check in answer["checks"] if "vertex_ai" in check["name"]]


def test_no_model_that_it_can_ask(run: Run, gateway: Gateway) -> None:
    gateway.instead["/v1/model/info"] = [
        _json({"data": [_listed(name, full, "rerank", 0.1) for name, full, *_ in MODELS]})
    ]
    assert "listed no model for chat, responses, embedding: set" in _failed(run())["models"]


def test_a_name_that_providers_share_is_asked_where_there_is_no_other(
    run: Run, gateway: Gateway, handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDERS", "")
    listed = [_listed(*model) for model in MODELS if model[0] == "shared"]
    gateway.instead["/v1/model/info"] = [_json({"data": listed})]
    answer = run()
    assert answer["passed"], answer
    assert "completion by azure or bedrock" in [check["name"] for check in answer["checks"]]


def test_a_model_that_litellm_knows_nothing_of_is_asked_last(run: Run, gateway: Gateway) -> None:
    listed = [_listed(*model) for model in MODELS if model[0] != "gpt"]
    gateway.instead["/v1/model/info"] = [_json({"data": listed})]
    run()
    assert "deployment" in [body.get("model") for _, body in gateway.asked]


# The spend


def test_spend_that_is_not_written(run: Run, gateway: Gateway, handler: ModuleType) -> None:
    gateway.writes_spend = False
    assert _failed(run()) == {
        "spend": f"the completions cost 0.000036 USD, but {gateway.url}/v2/user/info shows 0.000000 USD of it after "
        f"{handler.SPEND_SECONDS} s: look at the database and, in the log of the gateway's tasks, at what LiteLLM says "
        "of spend"
    }


def test_spend_that_is_written_later(run: Run, gateway: Gateway) -> None:
    gateway.instead["/v2/user/info"] = [_json({"spend": 0.1}), *[_json({"spend": 0.1})] * 30, _json({"spend": 0.2})]
    assert run()["passed"]


def test_a_budget_whose_day_begins_anew(run: Run, gateway: Gateway) -> None:
    gateway.instead["/v2/user/info"] = [_json({"spend": 0.04}), _json({"spend": 0.0}), _json({"spend": 3 * COST})]
    assert run()["passed"]


# Nobody answers


def test_no_gateway(run: Run, gateway: Gateway) -> None:
    gateway.shutdown()
    gateway.server_close()
    failed = _failed(run())
    assert set(failed) == {"health", "sign-in page", "models"}
    for detail in failed.values():
        assert (
            "got no answer (NewConnectionError, 3 times): look at the record of the name, its certificate, and"
            in detail
        )
