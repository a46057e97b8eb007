"""Makes, changes and removes metrics, a dashboard and monitors in Datadog, for CloudFormation.

A custom resource of the CDK's provider framework, of three types. Its property `Definition` is the object as Datadog's
API takes it, in JSON; its physical id is Datadog's id, so that CloudFormation alone knows what there is.

Integrates with Datadog's API (of the site DD_SITE) and SSM Parameter Store (the keys DD_API_KEY and DD_APP_KEY below
PARAMETER_PREFIX). No key is in an answer, a log or an error.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from datadog.client import Datadog, RefusedError, UnansweredError
from datadog.objects import Dashboards, LogsMetrics, Monitors, Objects

logger = logging.getLogger()
logger.setLevel(logging.INFO)

KINDS: dict[str, type[Objects]] = {
    "Custom::DatadogLogsMetric": LogsMetrics,
    "Custom::DatadogDashboard": Dashboards,
    "Custom::DatadogMonitor": Monitors,
}
DONE = {"Create": "made", "Update": "changed", "Delete": "removed"}
SECONDS_TO_ANSWER = 10.0  # that are left for the error, when Datadog takes all the time there is


class Context(Protocol):
    """What is used of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Tell how long the function may still run."""


class DatadogError(Exception):
    """An object is not as it should be. The message, one sentence, goes into the stack's events."""


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Make, change or remove one object, and return its physical id.

    Raises
    ------
    DatadogError
        Datadog refused or did not answer, or a key is missing: which object, what was said, and what to do.
    """
    kind, action = KINDS[event["ResourceType"]], event["RequestType"]
    definition, current = json.loads(event["ResourceProperties"]["Definition"]), event.get("PhysicalResourceId", "")
    what = f"the {kind.noun} '{kind.name(definition)[:100]}' was not {DONE[action]} in Datadog"
    try:
        datadog = Datadog(
            os.environ["DD_SITE"],
            api_key=_secret("DD_API_KEY"),
            app_key=_secret("DD_APP_KEY"),
            seconds_left=lambda: context.get_remaining_time_in_millis() / 1000 - SECONDS_TO_ANSWER,
        )
        objects = kind(datadog, _marker(event))
        if action == "Create":
            current = objects.make(definition)
        elif action == "Update":
            current = objects.change(current, definition)
        else:
            objects.remove(current)
    except RefusedError as refused:
        raise DatadogError(f"{what}: {refused}: {_advice(refused.status)}") from None
    except UnansweredError as unanswered:
        raise DatadogError(f"{what}: {unanswered}: see status.datadoghq.com, and deploy again") from None
    except DatadogError as error:
        raise DatadogError(f"{what}: {error}") from None
    logger.info("%s %s: %s", kind.noun, current, DONE[action])
    return {"PhysicalResourceId": current}


def _marker(event: dict[str, Any]) -> str:
    """What an object carries as a sign of the resource that it belongs to, of this very stack: a valid Datadog tag."""
    stack = event["StackId"].rsplit("/", 1)[-1]
    return f"cloudformation:{stack}/{event['LogicalResourceId']}".lower()


def _secret(name: str) -> str:
    ssm = boto3.client("ssm", config=Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard"}))
    parameter = f"{os.environ['PARAMETER_PREFIX']}/{name}"
    try:
        return str(ssm.get_parameter(Name=parameter, WithDecryption=True)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        problem = f"there is no parameter {parameter}: make secrets ENV={_environment()} stores it"
    except ClientError as error:
        problem = f"parameter {parameter} could not be read ({error.response['Error']['Code']})"
    except BotoCoreError as error:
        problem = f"parameter {parameter} could not be read ({type(error).__name__})"
    except KeyError:
        problem = f"parameter {parameter} could not be read (the answer has no value)"
    raise DatadogError(problem)


def _advice(status: int) -> str:
    if status in (401, 403):
        return (
            f"check that DD_API_KEY and DD_APP_KEY (make secrets ENV={_environment()}) are of one organisation of "
            f"{os.environ['DD_SITE']}, and that the owner and the scopes of the application key have dashboards_write, "
            "monitors_write and logs_generate_metrics"
        )
    return "mend that, or its definition in stacks/datadog, and deploy again"


def _environment() -> str:
    return os.environ["PARAMETER_PREFIX"].rsplit("/", 1)[-1]
