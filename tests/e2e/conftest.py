"""One gateway for all end-to-end tests: deployed to the emulated AWS as `make up` does, in a folder of its own."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import openai
import pytest
from playwright.sync_api import Browser, sync_playwright

from local.gateway import CHECKOUT, LocalGateway
from local.outside import OutsideWorld

Found = TypeVar("Found")
RESULTS = CHECKOUT / "test-results"
# Here LiteLLM writes spend every few seconds, by tag every twice as many, and sends Datadog a batch each second.
PATIENCE = 150.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Headless, as any user, and without calling its maker.
BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGateway]:
    """The running gateway."""
    state = tmp_path_factory.mktemp("gateway")
    with LocalGateway(state, report=lambda _: None) as running:
        yield running


@pytest.fixture
def outside(gateway: LocalGateway) -> Iterator[OutsideWorld]:
    """The simulated providers, well behaved at the beginning and at the end of a test."""
    gateway.outside.clear("calls")
    yield gateway.outside
    gateway.outside.clear_fault()


@pytest.fixture
def user(gateway: LocalGateway, request: pytest.FixtureRequest) -> str:
    """The address of a user of this test alone."""
    return f"{request.node.name.partition('[')[0]}-{time.monotonic_ns()}@example.com"


@pytest.fixture
def client(gateway: LocalGateway, user: str) -> openai.OpenAI:
    """OpenAI's SDK with the user's key, as people use it."""
    return sdk(gateway, gateway.user_key(user))


@pytest.fixture  # not for the session: Playwright's event loop would run on under every later test of this process
def chromium() -> Iterator[Browser]:
    """An installed Chromium. Without one a test is skipped on a person's machine, and fails in CI."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        missing = f"no browser is installed: none of {', '.join(BROWSERS)} is on the PATH"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    RESULTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(BROWSER_ARGUMENTS))
        yield browser
        browser.close()


def sdk(gateway: LocalGateway, key: str) -> openai.OpenAI:
    """OpenAI's SDK without retries of its own: what is retried is retried by the gateway."""
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=60)


def eventually(look: Callable[[], Found], *, patience: float = PATIENCE) -> Found:
    """What `look` returns, once it is true: what a server does in the background takes its time."""
    end = time.monotonic() + patience
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.5)
    return found
