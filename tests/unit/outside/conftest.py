"""The simulated outside as the tests of its providers share it, and clients that reach it as LiteLLM does."""

import ssl
from collections.abc import Iterator

import httpx
import openai
import pytest

from local.outside.credentials import Credentials
from local.outside.world import OutsideWorld


@pytest.fixture(scope="session")
def credentials() -> Credentials:
    """For worlds that a test has for itself: to make their keys takes longer than most of these tests."""
    return Credentials.generate()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutsideWorld]:
    with OutsideWorld(tmp_path_factory.mktemp("outside")) as world:
        yield world


@pytest.fixture
def world(running: OutsideWorld) -> OutsideWorld:
    running.clear()
    running.clear_fault()
    return running


@pytest.fixture
def http(world: OutsideWorld) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(world.ca_file))
    with httpx.Client(proxy=world.proxy_url, verify=context, trust_env=False) as client:
        yield client


@pytest.fixture
def sdk(world: OutsideWorld) -> Iterator[openai.DefaultHttpxClient]:
    context = ssl.create_default_context(cafile=str(world.ca_file))
    with openai.DefaultHttpxClient(proxy=world.proxy_url, verify=context, trust_env=False) as client:
        yield client
