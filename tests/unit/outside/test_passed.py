"""The simulated service that a pass-through endpoint leads to."""

import ssl
from collections.abc import Iterator

import httpx
import pytest

from local.outside.passed import ANSWERED, Service
from local.outside.records import Fault
from local.outside.world import OutsideWorld

HOUSE = Service("house.example.com", "/v1/answers", {"authorization": "bearer a-key"})
GARDEN = Service("house.example.com", "/v2", {})
URL = f"https://{HOUSE.host}{HOUSE.path}"
HEADERS = dict(HOUSE.headers)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideWorld]:
    with OutsideWorld(tmp_path_factory.mktemp("outside"), services=(HOUSE, GARDEN)) as world:
        yield world


@pytest.fixture
def http(running: OutsideWorld) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(running.ca_file))
    with httpx.Client(proxy=running.proxy_url, verify=context, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(("below", "asked"), [("", "POST /"), ("/x/y", "POST /x/y")])
def test_it_tells_what_it_was_asked(http: httpx.Client, below: str, asked: str) -> None:
    answer = http.post(f"{URL}{below}", json={"a": 1}, headers=HEADERS)
    assert answer.json() == {"answer": ANSWERED, "asked": asked, "body": {"a": 1}}


def test_each_service_of_a_host_has_its_own_path_and_key(http: httpx.Client) -> None:
    assert http.get("https://house.example.com/v2").json()["asked"] == "GET /"
    assert http.get("https://house.example.com/v2x").status_code == 404


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer a-key"}, {"authorization": "bearer another"}])
def test_it_answers_who_has_the_key(http: httpx.Client, headers: dict[str, str]) -> None:
    assert http.post(URL, json={}, headers=headers).status_code == 401


def test_a_body_that_is_none_is_refused(http: httpx.Client) -> None:
    assert http.post(URL, content=b"{", headers=HEADERS).status_code == 400


def test_it_fails_as_it_is_told(running: OutsideWorld, http: httpx.Client) -> None:
    running.set_fault(HOUSE.host, Fault(status=503, count=1))
    answer = http.post(URL, json={}, headers=HEADERS)
    assert (answer.status_code, answer.json()) == (503, {"error": "Service Unavailable"})
    assert "retry-after" in answer.headers
