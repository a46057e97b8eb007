"""LiteLLM's tasks beside a restored database: one that looks into it, one that migrates it, and new ones that use it.

Integrates with Amazon ECS, CloudWatch Logs and CloudFormation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import boto3

from ops.access import OpsError
from ops.assembly import resources_of
from stacks.gateway.stack import CONTAINER_NAME
from stacks.settings import Environment

LOOK: Final = """\
import os, psycopg
print(*psycopg.connect(os.environ["DATABASE_URL"]).execute('''select
  (select count(*) from "LiteLLM_UserTable"), (select max("startTime") from "LiteLLM_SpendLogs"),
  (select count(*) from _prisma_migrations)''').fetchone(), sep=", ")
"""
"""Accounts, the latest call, migrations."""


@dataclass(frozen=True)
class Tasks:
    """The environment's tasks."""

    session: boto3.Session
    environment: Environment
    wait: Callable[[], None]

    def look(self, endpoint: str) -> str:
        """What is in the database at this address: accounts, the latest call, migrations."""
        return self._run(endpoint, ("python3", "-c", LOOK))

    def migrate(self, endpoint: str) -> None:
        """Bring the database to the release that is deployed: one that is there already is left as it is."""
        self._run(endpoint, ())

    def renew(self) -> None:
        """New tasks in the place of the running ones, whose connections are to the database that was."""
        ecs, cluster, service = self._client("ecs"), self._parameter("cluster"), self._parameter("service")
        ecs.update_service(cluster=cluster, service=service, forceNewDeployment=True)
        while True:
            (found,) = ecs.describe_services(cluster=cluster, services=[service])["services"]
            if len(found["deployments"]) == 1 and found["runningCount"] == found["desiredCount"]:
                return
            self.wait()

    def _run(self, endpoint: str, command: Sequence[str]) -> str:
        """Run a task of the migration's definition on the database, and return the last line that it wrote.

        Raises
        ------
        OpsError
            It failed.
        """
        ecs, cluster = self._client("ecs"), self._parameter("cluster")
        (service,) = ecs.describe_services(cluster=cluster, services=[self._parameter("service")])["services"]
        container: dict[str, Any] = {
            "name": CONTAINER_NAME,
            "environment": [{"name": "DATABASE_HOST", "value": endpoint}],
        }
        if command:
            container["command"] = list(command)
        answer = ecs.run_task(
            cluster=cluster,
            taskDefinition=self._resource("AWS::ECS::TaskDefinition", "MigrationTask"),
            overrides={"containerOverrides": [container]},
            capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}],
            networkConfiguration=service["networkConfiguration"],
        )
        if not answer["tasks"]:
            reason = answer["failures"][0].get("reason", "no reason is given")
            raise OpsError(f"ECS starts no task to look into {endpoint} ({reason}): its quotas and capacity say why.")
        arn = answer["tasks"][0]["taskArn"]
        while (task := ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"][0])["lastStatus"] != "STOPPED":
            self.wait()
        stream = f"litellm/{CONTAINER_NAME}/{arn.rsplit('/', 1)[-1]}"
        if (code := task["containers"][0].get("exitCode")) != 0:
            what = task.get("stoppedReason", "no reason is given") if code is None else f"exit code {code}"
            raise OpsError(
                f"the task on {endpoint} failed ({what}): its log is the stream {stream} in CloudWatch Logs."
            )
        group = self._resource("AWS::Logs::LogGroup", "Logs")
        written = self._client("logs").get_log_events(logGroupName=group, logStreamName=stream)["events"]
        return str(written[-1]["message"]) if written else ""

    def _resource(self, kind: str, begins: str) -> str:
        """The physical id of the gateway stack's one resource of this type, whose logical id begins so."""
        for each in resources_of(self._client("cloudformation"), f"litellm-{self.environment.name}-gateway"):
            if each["ResourceType"] == kind and each["LogicalResourceId"].startswith(begins):
                return str(each["PhysicalResourceId"])
        raise OpsError(
            f"litellm-{self.environment.name}-gateway has no {begins}: deploy the release that is in use first."
        )

    def _parameter(self, name: str) -> str:
        return str(self._client("ssm").get_parameter(Name=self.environment.parameter(name))["Parameter"]["Value"])

    def _client(self, service: str) -> Any:  # noqa: ANN401 - boto3's clients have no common type
        return self.session.client(service, region_name=self.environment.region)  # type: ignore[call-overload]
