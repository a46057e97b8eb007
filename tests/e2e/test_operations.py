"""What operators do: secrets, deployments that fail and that succeed, the admin UI."""

import os
import subprocess
import sys
import threading
from typing import Any

from playwright.sync_api import Browser, expect

from local.gateway import LocalGateway
from local.outside.records import Fault
from local.outside.world import OutsideWorld
from stacks import CHECKOUT
from tests.e2e.conftest import (
    RESULTS,
    callers,
    container_of,
    eventually,
    new_page,
    set_variable,
    template_of,
    update_stack,
)

STACK = "litellm-local-gateway"


def _service(gateway: LocalGateway) -> dict[str, Any]:
    ecs = gateway.client("ecs")
    (cluster,) = ecs.list_clusters()["clusterArns"]
    (arn,) = ecs.list_services(cluster=cluster)["serviceArns"]
    return dict(ecs.describe_services(cluster=cluster, services=[arn])["services"][0])


def test_every_secret_is_there(gateway: LocalGateway) -> None:
    check = subprocess.run(
        [sys.executable, "-m", "ops.secrets", "--env", "local", "--check"],
        cwd=CHECKOUT,
        env={**os.environ, **gateway.emulator.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout + check.stderr
    assert gateway.secret("LITELLM_MASTER_KEY") not in check.stdout


def test_a_missing_secret_stops_the_task_with_its_name(gateway: LocalGateway) -> None:
    ssm, ecs = gateway.client("ssm"), gateway.client("ecs")
    name, value = gateway.environment.parameter("SLACK_WEBHOOK_URL"), gateway.secret("SLACK_WEBHOOK_URL")
    service = _service(gateway)
    ssm.delete_parameter(Name=name)
    try:
        (task,) = ecs.run_task(
            cluster=service["clusterArn"],
            taskDefinition=service["taskDefinition"],
            networkConfiguration=service["networkConfiguration"],
        )["tasks"]

        def stopped() -> str:
            (found,) = ecs.describe_tasks(cluster=service["clusterArn"], tasks=[task["taskArn"]])["tasks"]
            return str(found["stoppedReason"]) if found["lastStatus"] == "STOPPED" else ""

        reason = eventually(stopped)
    finally:
        ssm.put_parameter(Name=name, Value=value, Type="SecureString")
    assert "ResourceInitializationError" in reason
    assert "SLACK_WEBHOOK_URL" in reason


def test_what_has_no_effect_here_is_listed(gateway: LocalGateway) -> None:
    listed = {resource["type"] for resource in gateway.emulator.not_emulated()}
    assert {
        "AWS::EC2::NatGateway",
        "AWS::WAFv2::LoggingConfiguration",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
    } <= listed


def test_the_admin_ui_signs_in(gateway: LocalGateway, chromium: Browser) -> None:
    page = new_page(chromium, viewport={"width": 1280, "height": 800})
    page.goto(f"{gateway.url}/ui/")
    page.get_by_placeholder("Enter your username").fill("admin")
    page.get_by_placeholder("Enter your password").fill(gateway.secret("UI_PASSWORD"))
    page.get_by_role("button", name="Login", exact=True).click()
    expect(page.get_by_text("Create New Virtual Key").first).to_be_visible(timeout=120_000)
    page.screenshot(path=RESULTS / "admin-ui.png")


def test_a_failed_migration_leaves_the_service_as_it_was(gateway: LocalGateway, user: str) -> None:
    before, template = _service(gateway), template_of(gateway, STACK)
    container_of(template, "MigrationTask")["Command"] = ["sh", "-c", "exit 3"]
    set_variable(container_of(template, "Task"), "LITELLM_LOG", "WARNING")
    with callers(gateway, gateway.user_key(user)) as statuses:
        status = update_stack(gateway, STACK, template)
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    events = gateway.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    assert any("the database migration failed (exit code 3)" in reason for reason in reasons), reasons
    assert _service(gateway)["taskDefinition"] == before["taskDefinition"]
    assert set(statuses) == {200}


def test_it_falls_asleep_and_wakes_with_all_that_it_had(
    gateway: LocalGateway, user: str, outside: OutsideWorld
) -> None:
    key = gateway.user_key(user)
    body = {"model": "nova-2-lite", "messages": [{"role": "user", "content": "Good night"}]}
    assert gateway.api("POST", "/v1/chat/completions", key=key, json=body).is_success

    def spend() -> float:
        return float(gateway.api("GET", "/key/info", key=key).json()["info"]["spend"])

    spent = eventually(spend)
    assert spent > 0
    assert _put(gateway, "asleep").startswith("local is asleep, after ")
    assert _put(gateway, "asleep") == "local was asleep already.\n"
    refused = gateway.api("POST", "/v1/chat/completions", key=key, json=body)
    assert refused.status_code == 503
    assert refused.json()["error"] == {
        "type": "service_unavailable",
        "code": "asleep",
        "param": None,
        "message": "The gateway of local sleeps. Whoever deploys it wakes it within minutes: make wake ENV=local",
    }
    assert eventually(lambda: _service(gateway)["runningCount"] == 0)
    assert _service(gateway)["desiredCount"] == 0

    assert _put(gateway, "awake").startswith("local is awake, after ")
    assert gateway.api("POST", "/v1/chat/completions", key=key, json=body).is_success
    assert spend() >= spent
    assert _service(gateway)["desiredCount"] == 1


def _put(gateway: LocalGateway, to: str) -> str:
    """What `make wake` or `make sleep` says."""
    run = subprocess.run(
        [sys.executable, "-m", "ops.sleep", to, "--env", "local"],
        cwd=CHECKOUT,
        env={**os.environ, **gateway.access},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def test_a_new_version_loses_no_request_and_no_stream(gateway: LocalGateway, user: str, outside: OutsideWorld) -> None:
    """While a deployment replaces the tasks, requests are answered, and a long answer ends where it began."""
    before, template = _service(gateway), template_of(gateway, STACK)
    set_variable(container_of(template, "Task"), "LITELLM_LOG", "WARNING")
    key = gateway.user_key(user)
    outside.set_fault("*.openai.azure.com", Fault(chunk_delay_seconds=3))
    streamed: list[str] = []

    def stream() -> None:
        body = {"model": "gpt-6-luna", "stream": True, "messages": [{"role": "user", "content": "At length"}]}
        answer = gateway.api("POST", "/v1/chat/completions", key=key, json=body)
        streamed.append(answer.text)

    slow = threading.Thread(target=stream)
    with callers(gateway, key) as statuses:
        slow.start()
        assert update_stack(gateway, STACK, template) == "UPDATE_COMPLETE"
        slow.join()
    assert set(statuses) == {200}
    assert streamed[0].endswith("data: [DONE]\n\n")
    assert _service(gateway)["taskDefinition"] != before["taskDefinition"]
