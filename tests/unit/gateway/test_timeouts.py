"""How long each on a call's way waits, and that the installed LiteLLM reads what it is told of it."""

import re

import pytest

from stacks import CHECKOUT
from stacks.gateway.timeouts import MOST_IDLE_SECONDS, Timeouts
from stacks.litellm_config import SERVED_AS

INSTALLED = next(CHECKOUT.glob(".tools/litellm/lib/python*/site-packages/litellm"), None)
LONGEST = 3600  # the most that config.yaml may say


@pytest.mark.parametrize("request_timeout", [1, 600, LONGEST])
def test_each_waits_longer_than_what_is_behind_it(request_timeout: int) -> None:
    times = Timeouts(request_timeout)
    assert times.request <= times.deregistration <= LONGEST
    assert times.request < times.idle < times.keep_alive
    assert times.idle <= MOST_IDLE_SECONDS


@pytest.mark.skipif(INSTALLED is None, reason="LiteLLM is not installed in .tools/litellm; `make setup` installs it")
class TestLiteLlm:
    @staticmethod
    def source(name: str) -> str:
        assert INSTALLED
        return (INSTALLED / name).read_text()

    def test_keeps_connections_as_long_as_it_is_told(self) -> None:
        command_line = self.source("proxy/proxy_cli.py")
        assert 'envvar="KEEPALIVE_TIMEOUT"' in command_line
        assert 'uvicorn_args["timeout_keep_alive"] = keepalive_timeout' in command_line

    def test_has_tcp_ask_providers_for_a_sign_of_life(self) -> None:
        constants = self.source("constants.py")
        for name in ("AIOHTTP_SO_KEEPALIVE", "AIOHTTP_TCP_KEEPIDLE"):
            assert f'os.getenv("{name}"' in constants
            assert name in SERVED_AS

    def test_waits_for_the_database_as_long_as_it_is_told(self) -> None:
        assert 'os.getenv("PROXY_DB_LOOKUP_DEADLINE_SECONDS"' in self.source("constants.py")
        assert "PROXY_DB_LOOKUP_DEADLINE_SECONDS" in SERVED_AS

    def test_drops_spend_whose_statement_does_not_end_and_prisma_waits_longer_than_the_engine(self) -> None:
        """What socket_timeout of container/entrypoint.sh is for."""
        assert "DB_RETRY_SAFE_ERROR_TYPES: Final = (httpx.ConnectError,)" in self.source("proxy/_types.py")
        (client,) = re.findall(r"'timeout': Timeout\((\d+)\)", self.source("../prisma/http_abstract.py"))
        (engine,) = re.findall(r"socket_timeout=(\d+)", (CHECKOUT / "container" / "entrypoint.sh").read_text())
        assert int(engine) < int(client)

    def test_lets_connections_to_providers_go_before_a_nat_gateway_does(self) -> None:
        (default,) = re.findall(r'os\.getenv\("AIOHTTP_KEEPALIVE_TIMEOUT", (\d+)\)', self.source("constants.py"))
        assert int(default) == 120  # as docs/design.md says; a NAT gateway's is 350
