"""What Amazon ECS does and ministack's leaves out: tasks are judged by their health, and deployments by their tasks.

On AWS a task counts for a deployment, and gets requests, only once its container health check and its target groups'
health checks pass; a task that fails them is stopped and replaced; and CloudFormation waits until a service's
deployment has completed or its circuit breaker has given it up. `Services` adds this to ministack's ECS.
"""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from local.confinement import user_of
from local.containers import Container, Definition, Image
from local.docker_client import LocalDocker
from local.health import POLL, Health

STABILIZE_TIMEOUT = 3 * 3600.0  # seconds; CloudFormation's own limit for a service to become stable
ENTRYPOINT = "entrypoint.sh"  # of container/Dockerfile
Json = Mapping[str, Any]
Provisioned = tuple[str, dict[str, Any]]  # a resource's physical id and attributes


def ministack(name: str) -> Any:  # noqa: ANN401 - ministack has no types
    """A module of ministack, whose private functions are wrapped here and in the modules beside it."""
    return importlib.import_module(f"ministack.{name}")


def definition_of(labels: Mapping[str, str]) -> Definition:
    """The registered container definition that belongs to a container's labels."""
    prefix = "com.amazonaws.ecs."
    family, revision = labels[f"{prefix}task-definition-family"], labels[f"{prefix}task-definition-version"]
    task_definition = ministack("services.ecs")._task_defs[f"{family}:{revision}"]
    return next(
        Definition.from_ecs(container)
        for container in task_definition["containerDefinitions"]
        if container["name"] == labels[f"{prefix}container-name"]
    )


def image_of(uri: str, store: Path) -> Image:
    """An image of the emulated ECR, in the account and region that its URI names; its files are in `store`.

    Raises
    ------
    LookupError
        No such image has been pushed.
    """
    registry, _, repository = uri.partition("/")
    account, _, _, region, *_ = (*registry.split("."), "", "", "", "")
    name, _, digest = repository.partition("@")
    name, _, tag = name.partition(":")
    with ministack("core.responses").request_scope(account, region):
        for record in ministack("services.ecr")._images.get(name) or []:
            if record["imageDigest"] == digest or tag in record["imageTags"]:
                content = json.loads(record["imageManifest"])["config"]["digest"]
                directory = store / content.removeprefix("sha256:")
                entrypoint, user = (str(directory / ENTRYPOINT),), user_of(directory / "Dockerfile")
                return Image(record["imageDigest"], entrypoint, directory, user)
    raise LookupError(f"CannotPullContainerError: {uri} is not in the registry: it has not been pushed")


def answers(port: int, path: str, codes: str, timeout: float) -> bool:
    """Whether GET `path` on 127.0.0.1:`port` gives one of `codes` ("200", "200-299", "200,202") within `timeout` s."""
    try:
        status = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=timeout, trust_env=False).status_code
    except httpx.HTTPError:
        return False
    ranges = (code.strip().partition("-") for code in codes.split(","))
    return any(int(low) <= status <= int(high or low) for low, _, high in ranges)


class Services:
    """The service scheduler's judgement, put over ministack's ECS.

    Parameters
    ----------
    docker
        The client that ministack's ECS is given.
    """

    def __init__(self, docker: LocalDocker) -> None:
        self._docker = docker
        self._ecs = ministack("services.ecs")
        self._alb = ministack("services.alb")
        self._checks: dict[str, list[tuple[str, Health]]] = {}  # by task ARN: what checks it, and the verdict
        self._record_healthy = self._ecs._record_service_task_healthy
        self._make_deployment = self._ecs._make_deployment
        self._ecs._get_docker = lambda: docker
        self._ecs._record_service_task_healthy = self._await_health
        self._ecs._sync_service_targets = self._publish_targets
        self._ecs._make_deployment = self._deployment

    def deregistration_delay(self, container: Container) -> float:
        """Seconds that a stopping container's requests have, by its service's target groups; 0 if it has none."""
        with self._scope_of(container):
            task = self._ecs._tasks.get(container.labels["com.amazonaws.ecs.task-arn"]) or {}
            return max((self._delay(balancer["targetGroupArn"]) for balancer in self._balancers(task)), default=0.0)

    def _scope_of(self, container: Container) -> Any:  # noqa: ANN401 - ministack's context manager
        _, _, _, region, account, _ = container.labels["com.amazonaws.ecs.task-arn"].split(":", 5)
        return ministack("core.responses").request_scope(account, region)

    def _delay(self, group: str) -> float:
        attributes = {entry["Key"]: entry["Value"] for entry in self._alb._tg_attrs.get(group, [])}
        return float(attributes.get("deregistration_delay.timeout_seconds", 300))

    def _service_of(self, task: Json) -> dict[str, Any] | None:
        cluster, (_, _, name) = self._cluster_of(task), str(task.get("group", "")).partition(":")
        service: dict[str, Any] | None = self._ecs._services.get(f"{cluster}/{name}")
        return service

    def _cluster_of(self, task: Json) -> str:
        return str(task.get("clusterArn", "")).rpartition("/")[2]

    def _balancers(self, task: Json) -> list[dict[str, Any]]:
        return [entry for entry in (self._service_of(task) or {}).get("loadBalancers", []) if "targetGroupArn" in entry]

    def _containers(self, task: Json) -> list[Container]:
        return [self._docker.containers.get(identity) for identity in task.get("_docker_ids") or []]

    def _deployment(self, *args: object, **kwargs: object) -> dict[str, Any]:
        """A service's first deployment too is in progress until its tasks are healthy."""
        deployment: dict[str, Any] = self._make_deployment(*args, **kwargs)
        return {
            **deployment,
            "rolloutState": "IN_PROGRESS",
            "rolloutStateReason": f"ECS deployment {deployment['id']} in progress.",
        }

    def _target_port(self, task: Json, balancer: Json) -> int | None:
        for container in self._containers(task):
            if container.labels["com.amazonaws.ecs.container-name"] == balancer["containerName"]:
                return container.ports.get(int(balancer["containerPort"]))
        return None

    def _publish_targets(self, cluster: str, service: dict[str, Any]) -> None:
        """Make the target groups hold the running tasks whose checks pass, and nothing else of this service."""
        tasks = [
            task
            for task in [*self._ecs._tasks.values()]
            if service.get("status") == "ACTIVE"
            and task.get("lastStatus") == "RUNNING"
            and task.get("clusterArn") == service.get("clusterArn")
            and task.get("group") == f"service:{service['serviceName']}"
            and self._verdict(task) == "healthy"
        ]
        for balancer in service.get("loadBalancers") or []:
            group = balancer["targetGroupArn"]
            with ministack("core.concurrency").resource_lock("elbv2-targets", group):
                ports = {port for task in tasks if (port := self._target_port(task, balancer))}
                self._alb.set_targets_for_group(group, [("127.0.0.1", port) for port in sorted(ports)], ["127.0.0.1"])

    def _verdict(self, task: Json) -> str:
        """`healthy` once every check passes, `unhealthy` if one has failed for good, else `starting`."""
        states = {health.state for _, health in self._checks.get(str(task["taskArn"]), [("", _UNKNOWN)])}
        return next((state for state in ("unhealthy", "starting") if state in states), "healthy")

    def _await_health(self, service_key: str, task: dict[str, Any]) -> None:
        """Take ministack's 'it has survived its start' for healthy only once the task's checks pass."""
        if task["taskArn"] not in self._checks:
            self._checks[task["taskArn"]] = [*self._start_checks(task)]
        while self._is_running(task) and self._verdict(task) == "starting":
            time.sleep(POLL)
        if self._verdict(task) == "healthy":
            self._record_healthy(service_key, task)
        in_scope = self._in_scope(task, lambda: self._supervise(task))
        threading.Thread(target=in_scope, daemon=True, name=f"supervise-{task['taskArn'][-8:]}").start()

    def _in_scope(self, task: Json, act: Callable[[], None]) -> Callable[[], None]:
        """`act` in another thread, for the account and region that the task is in."""
        _, _, _, region, account, _ = str(task["taskArn"]).split(":", 5)

        def run() -> None:
            with ministack("core.responses").request_scope(account, region):
                act()

        return run

    def _is_running(self, task: Json) -> bool:
        return task.get("lastStatus") == "RUNNING" and task.get("desiredStatus") == "RUNNING"

    def _supervise(self, task: dict[str, Any]) -> None:
        """Stop and replace the task once it is unhealthy."""
        while self._is_running(task) and self._verdict(task) != "unhealthy":
            time.sleep(POLL)
        failed = [name for name, health in self._checks.get(task["taskArn"], []) if health.state == "unhealthy"]
        if self._is_running(task) and failed:
            reason = f"Task failed {' and '.join(failed)}"
            self._ecs._mark_task_stopped(task["taskArn"], task, reason, "ServiceSchedulerInitiated")
            self._ecs._cleanup_task_resources(task, self._docker)
            self._ecs._record_service_task_failure(task)
        self._checks.pop(task["taskArn"], None)

    def _start_checks(self, task: dict[str, Any]) -> Iterable[tuple[str, Health]]:
        for container in self._containers(task):
            if container.health:
                yield "container health checks", container.health
        for balancer in self._balancers(task):
            group = self._alb._tgs.get(balancer["targetGroupArn"])
            if group and group["HealthCheckEnabled"]:
                yield (
                    f"ELB health checks in (target-group {group['TargetGroupArn']})",
                    self._watch(task, balancer, group),
                )

    def _watch(self, task: dict[str, Any], balancer: Json, group: Json) -> Health:
        port = self._check_port(task, balancer, group)
        path, codes, timeout = (
            group["HealthCheckPath"],
            group["Matcher"]["HttpCode"],
            group["HealthCheckTimeoutSeconds"],
        )
        health = Health(
            lambda: port is not None and answers(port, path, codes, timeout),
            interval=float(group["HealthCheckIntervalSeconds"]),
            failures=int(group["UnhealthyThresholdCount"]),
            grace=float((self._service_of(task) or {}).get("healthCheckGracePeriodSeconds") or 0),
        )
        refresh = self._in_scope(
            task, lambda: self._ecs._refresh_service_state(self._cluster_of(task), task.get("group", ""))
        )
        threading.Thread(
            target=health.watch, args=(lambda: self._is_running(task), refresh), daemon=True, name="target-health"
        ).start()
        return health

    def _check_port(self, task: Json, balancer: Json, group: Json) -> int | None:
        if group["HealthCheckPort"] == "traffic-port":
            return self._target_port(task, balancer)
        return self._target_port(task, {**balancer, "containerPort": group["HealthCheckPort"]})

    def stabilize(self, service_arn: str) -> None:
        """Wait until the service's current deployment has completed.

        Raises
        ------
        RuntimeError
            The circuit breaker has given it up; the message has the last stopped task's reason.
        TimeoutError
            It has not become stable within three hours, CloudFormation's limit.
        """
        service = self._ecs._services["/".join(service_arn.split("/")[-2:])]
        deployment = self._ecs._primary_deployment(service)
        if service["desiredCount"] == 0:
            return
        end = time.monotonic() + STABILIZE_TIMEOUT
        while deployment["rolloutState"] == "IN_PROGRESS" and service["status"] == "ACTIVE":
            if time.monotonic() > end:
                raise TimeoutError(f"Resource timed out waiting for {service_arn} to become stable")
            time.sleep(POLL)
        if deployment["rolloutState"] == "FAILED":
            raise RuntimeError(
                "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered': "
                f"{deployment['rolloutStateReason']} Last stopped task: {self._last_failure(deployment['id'])}"
            )

    def _last_failure(self, deployment: str) -> str:
        stopped = [
            task
            for task in self._ecs._tasks.values()
            if task.get("_deployment_id") == deployment and task["lastStatus"] == "STOPPED"
        ]
        task = max(stopped, key=lambda one: str(one["stoppedAt"]), default=None)
        if task is None:
            return "none"
        codes = [
            f"{container['name']}: exit code {container['exitCode']}"
            for container in task["containers"]
            if container.get("exitCode") is not None
        ]
        return f"{task['stoppedReason']}" + (f" ({', '.join(codes)})" if codes else "")

    def await_end(self, containers: Iterable[Container]) -> None:
        """Wait until stopped containers have ended."""
        for container in containers:
            with suppress(TimeoutError):
                container.wait(self.deregistration_delay(container) + container.definition.stop_timeout)

    def containers_of(self, service_arn: str) -> list[Container]:
        """The containers of a service's tasks that have not ended."""
        cluster, name = service_arn.split("/")[-2:]
        return [
            container
            for task in self._ecs._tasks.values()
            if task.get("group") == f"service:{name}" and self._cluster_of(task) == cluster
            for container in self._containers(task)
            if container.is_running()
        ]


# The state of a task whose checks have not begun.
_UNKNOWN = Health(lambda: False, interval=0, failures=0, grace=0)
