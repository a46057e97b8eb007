"""One gateway for all end-to-end tests: deployed to the emulated AWS as `make up` does, in a folder of its own."""

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import httpx
import openai
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from local.gateway import LocalGateway
from local.outside.records import Fault
from local.outside.world import OutsideWorld
from stacks import CHECKOUT
from stacks.company import Company, company

Found = TypeVar("Found")
RESULTS = CHECKOUT / "test-results"
# Here LiteLLM writes spend every few seconds, by tag every twice as many, and sends Datadog a batch each second.
PATIENCE = 150.0
ASKED = "bedrock-runtime.*.amazonaws.com"  # whom `callers` ask
QUARTER = timedelta(minutes=15)
BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *(f"/Applications/{name}.app/Contents/MacOS/{name}" for name in ("Google Chrome", "Chromium")),  # of macOS
)
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
def gateway(gateway_of: Callable[[Company], LocalGateway]) -> LocalGateway:
    """The example company's running gateway."""
    return gateway_of(company())


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
    RESULTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        known = (*BROWSERS, playwright.chromium.executable_path)  # the last by `playwright install chromium`
        found = next(filter(None, map(shutil.which, known)), None)
        if not found:
            missing = f"no browser is installed: there is none of {', '.join(known)}"
            pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
        browser = playwright.chromium.launch(executable_path=found, args=list(BROWSER_ARGUMENTS))
        yield browser
        browser.close()


def new_page(chromium: Browser, **options: Any) -> Page:  # noqa: ANN401 - Playwright's
    """A page that waits as long as a slow machine needs."""
    page = chromium.new_page(**options)
    page.set_default_timeout(120_000)
    return page


def sdk(gateway: LocalGateway, key: str) -> openai.OpenAI:
    """OpenAI's SDK without retries of its own: what is retried is retried by the gateway."""
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0, timeout=240)


def eventually(look: Callable[[], Found], *, patience: float = PATIENCE) -> Found:
    """What `look` returns, once it is true: what a server does in the background takes its time."""
    end = time.monotonic() + patience
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.5)
    return found


def today(whole: Callable[[date], object]) -> date:
    """The day (UTC), of a `whole` that figures are made of, such as its month, with a quarter of an hour left of it.

    Just before the end the next one is waited for: what is asked now is then not of two of them.
    """

    def look() -> date | None:
        now = datetime.now(UTC)
        return now.date() if whole(now.date()) == whole((now + QUARTER).date()) else None

    found = eventually(look, patience=2 * QUARTER.total_seconds())
    assert found
    return found


def template_of(gateway: LocalGateway, stack: str) -> dict[str, Any]:
    """A deployed stack's template, to be changed."""
    body = gateway.client("cloudformation").get_template(StackName=stack)["TemplateBody"]
    return dict(body if isinstance(body, dict) else json.loads(body))


def container_of(template: dict[str, Any], task: str) -> dict[str, Any]:
    """The container of one of the template's task definitions, to be changed."""
    (found,) = (
        resource["Properties"]["ContainerDefinitions"][0]
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::ECS::TaskDefinition" and re.fullmatch(rf"{task}[0-9A-F]{{8}}", logical_id)
    )
    container: dict[str, Any] = found
    return container


def set_variable(container: dict[str, Any], name: str, value: str) -> None:
    """Change a variable of a container."""
    (variable,) = (variable for variable in container["Environment"] if variable["Name"] == name)
    variable["Value"] = value


def update_stack(gateway: LocalGateway, stack: str, template: dict[str, Any]) -> str:
    """Update the stack to a changed template, and return its status when it is over."""
    cloudformation = gateway.client("cloudformation")
    # Too large to be sent along: it goes by way of the bucket that the CDK CLI uses too.
    bucket = f"cdk-hnb659fds-assets-{gateway.environment.account}-{gateway.environment.region}"
    gateway.client("s3").put_object(Bucket=bucket, Key=f"{stack}.template.json", Body=json.dumps(template))
    known = cloudformation.describe_stacks(StackName=stack)["Stacks"][0].get("Parameters", [])
    cloudformation.update_stack(
        StackName=stack,
        TemplateURL=f"https://s3.{gateway.environment.region}.amazonaws.com/{bucket}/{stack}.template.json",
        Parameters=[{"ParameterKey": p["ParameterKey"], "UsePreviousValue": True} for p in known],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    )

    def status() -> str:
        found = str(cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
        return "" if found.endswith("IN_PROGRESS") else found

    return eventually(status, patience=300)


@contextmanager
def callers(gateway: LocalGateway, key: str, *, pause: float = 0) -> Iterator[list[int]]:
    """Two people ask all the time, with `pause` s between; the statuses of the answers, 0 for none at all.

    Their provider takes its time, so that each task that goes away has calls in hand, and the machine has more to do
    than to answer.
    """
    statuses: list[int] = []
    over = threading.Event()

    def call() -> None:
        while not over.wait(pause):
            try:
                body = {"model": "nova-2-lite", "messages": [{"role": "user", "content": "Still there?"}]}
                statuses.append(gateway.api("POST", "/v1/chat/completions", key=key, json=body).status_code)
            except httpx.HTTPError:
                statuses.append(0)

    threads = [threading.Thread(target=call) for _ in range(2)]
    gateway.outside.set_fault(ASKED, Fault(delay_seconds=0.3))
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join()
        gateway.outside.clear_fault(ASKED)
