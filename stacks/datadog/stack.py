"""Datadog's side of the gateway: metrics, a dashboard and monitors, made and removed with this stack."""

import json
from collections.abc import Iterable
from typing import Any

from aws_cdk import CustomResource, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import custom_resources as cr
from constructs import Construct

from stacks.constructs.litellm_key import parameter_arn
from stacks.constructs.provider import provide
from stacks.constructs.python_function import PythonFunction, PythonPackage
from stacks.datadog.dashboard import dashboard
from stacks.datadog.metrics import METRICS, Json
from stacks.datadog.monitors import monitors
from stacks.settings import Datadog, Environment

KEYS = ("DD_API_KEY", "DD_APP_KEY")


class DatadogStack(Stack):
    """Each object is a resource, whose `Definition` is what Datadog's API takes, in JSON of ASCII characters only.

    A function outside the VPC asks Datadog, with the keys that it reads when it runs. The dashboard and the monitors
    are made after the metrics that they ask, and removed before them.

    All of them are made one after the other. Each takes two functions, the provider framework's and the one that it
    waits for, and where it finds none left for the second it fails after a short while, and with it the deployment. A
    new account may run ten at once (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), of which the
    other stacks that CodePipeline deploys beside this one take some.

    Raises
    ------
    BundlingError
        The function's package could not be put together.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        settings: Datadog,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self.function = self._function(environment)
        self._provider = self._provide()
        self._resources = list[CustomResource]()
        metrics = [
            self._resource(_construct_id("Metric", metric.name), "LogsMetric", metric.definition(environment.name))
            for metric in METRICS
        ]
        board = dashboard(environment.name, budget_percent=settings.budget_percent)
        self._resource("Dashboard", "Dashboard", board, after=metrics)
        sleeps = environment.sleep is not None and environment.sleep.awake is not None
        for name, monitor in monitors(environment.name, settings, sleeps=sleeps).items():
            self._resource(f"Monitor{name}", "Monitor", monitor, after=metrics)

    def _function(self, environment: Environment) -> PythonFunction:
        function = PythonFunction(
            self,
            "Manage",
            package=PythonPackage("datadog"),
            module="handler",
            environment=environment,
            variables={"PARAMETER_PREFIX": environment.parameter_prefix, "DD_SITE": environment.providers.dd_site},
            description="Makes, changes and removes the gateway's metrics, dashboard and monitors in Datadog",
            memory_size=512,
            timeout=Duration.minutes(10),  # the provider framework waits for 15
        )
        arns = [parameter_arn(self, environment, name) for name in KEYS]
        function.add_to_role_policy(iam.PolicyStatement(actions=["ssm:GetParameter"], resources=arns))
        return function

    def _provide(self) -> cr.Provider:
        return provide(
            self,
            log_group=self.function.log_group,
            on_event=self.function,
            findings={
                "AwsSolutions-L1": (
                    "The newest version that the package is locked for; it is raised with requirements.txt"
                )
            },
        )

    def _resource(
        self, construct_id: str, kind: str, definition: Json, *, after: Iterable[CustomResource] = ()
    ) -> CustomResource:
        resource = CustomResource(
            self,
            construct_id,
            resource_type=f"Custom::Datadog{kind}",
            service_token=self._provider.service_token,
            properties={"Definition": json.dumps(definition, separators=(",", ":"))},
        )
        # It is removed before what the function may do.
        resource.node.add_dependency(self.function, *after, *self._resources[-1:])
        self._resources.append(resource)
        return resource


def _construct_id(prefix: str, name: str) -> str:
    return prefix + "".join(part.capitalize() for part in name.replace(".", "_").split("_"))
