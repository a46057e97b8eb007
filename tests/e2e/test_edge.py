"""Who may reach what from where: the deployed ranges, web ACL and listener rules, at the load balancer's address."""

from __future__ import annotations

import socket

import httpx
import pytest

from local.callers import OFFICE, OPERATOR, STRANGER
from local.gateway import LocalGateway


def _is_this_machine(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


pytestmark = pytest.mark.skipif(
    not all(map(_is_this_machine, (OFFICE, STRANGER))),
    reason="this machine has one loopback address: sudo ifconfig lo0 alias 127.0.0.2, and .3, make two more",
)
AWS = "awselb/2.0"  # what refuses is the edge, and not LiteLLM


def call(
    gateway: LocalGateway, path: str, caller: str, *, host: str = "", method: str = "GET", waits: float = 60
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {gateway.secret('LITELLM_MASTER_KEY')}"} | ({"Host": host} if host else {})
    with httpx.Client(transport=httpx.HTTPTransport(local_address=caller)) as client:
        return client.request(method, f"{gateway.url}{path}", headers=headers, timeout=httpx.Timeout(60, read=waits))


@pytest.mark.parametrize("caller", [OPERATOR, OFFICE])
def test_models_answer_to_everyone_who_is_let_in(gateway: LocalGateway, caller: str) -> None:
    assert call(gateway, "/v1/models", caller).is_success


def test_what_manages_answers_to_operators_only(gateway: LocalGateway) -> None:
    assert call(gateway, "/user/list", OPERATOR).is_success
    refused = call(gateway, "/user/list", OFFICE)
    assert (refused.status_code, refused.headers["server"]) == (403, AWS)


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/moderations", "/v1/rerank", "/v1/audio/speech"])
def test_a_route_that_no_listed_model_serves_is_closed(gateway: LocalGateway, path: str) -> None:
    """LiteLLM would try a provider that nobody has a key of."""
    refused = call(gateway, path, OFFICE, method="POST")
    assert (refused.status_code, refused.headers["server"]) == (403, AWS)


@pytest.mark.parametrize(
    "path", ["/metrics", "/ui/../user/list", "/prompts/test", "/anthropic/v1/models", "/spend/tags"]
)
def test_what_is_closed_answers_to_no_one(gateway: LocalGateway, path: str) -> None:
    # A client resolves a way back before it sends, so it is encoded.
    refused = call(gateway, path.replace("/../", "/%2e%2e/"), OPERATOR)
    assert (refused.status_code, refused.headers["server"]) == (403, AWS)


def test_a_stranger_hears_nothing(gateway: LocalGateway) -> None:
    with pytest.raises(httpx.ReadTimeout):
        call(gateway, "/v1/models", STRANGER, waits=1)


def test_another_host_name_is_none_of_the_gateways(gateway: LocalGateway) -> None:
    refused = call(gateway, "/v1/models", OFFICE, host="other.example.com")
    assert refused.status_code == 403
    assert "answers only for its own host name" in refused.text
