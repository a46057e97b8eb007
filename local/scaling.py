"""Application Auto Scaling, of the number of a service's tasks: what is registered, by a template or by the API.

Nothing scales by figures here, no scheduled action is started, and what a template registers starts no task beside the
first: they would all be on one machine. A call does what it does in AWS: "if it's below the minimum capacity or above
the maximum capacity, Application Auto Scaling adjusts the capacity" (RegisterScalableTarget).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from local import shapes
from local.ecs import Json, Provisioned, ministack
from local.inert import Handler

SERVICE: Final = "application-autoscaling"
NAMESPACE, DIMENSION = "ecs", "ecs:service:DesiredCount"
Targets = dict[tuple[str, str, str], dict[str, int]]
"""The least and the most of each, by account, region and resource."""


def mend_scaling() -> None:
    """Put this into the imported ministack, which has neither the service nor its resources."""
    targets: Targets = {}
    ministack("core.router").SERVICE_PATTERNS[SERVICE] = {
        "target_prefixes": ["AnyScaleFrontendService"],
        "host_patterns": [rf"{SERVICE}\."],
        "credential_scope": SERVICE,
    }
    ministack("core.iam_actions").SERVICE_TO_IAM_NAMESPACE[SERVICE] = SERVICE
    ministack("app").SERVICE_HANDLERS[SERVICE] = _api(targets)
    handlers = ministack("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    handlers["AWS::ApplicationAutoScaling::ScalableTarget"] = _resource(targets)


def _api(targets: Targets) -> Any:  # noqa: ANN401 - ministack's
    responses = ministack("core.responses")

    async def handle(method: str, path: str, headers: Mapping[str, str], body: bytes, query: object) -> Any:  # noqa: ANN401 - ministack's response
        request = json.loads(body or b"{}")
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation not in ("RegisterScalableTarget", "DescribeScalableTargets"):
            return responses.error_response_json("UnknownOperationException", f"{operation} is not emulated", 400)
        try:
            shapes.check(SERVICE, operation, request)
            if operation == "DescribeScalableTargets":
                return responses.json_response({"ScalableTargets": _described(targets)})
            _adjust(str(request["ResourceId"]), _register(targets, request))
        except ValueError as error:
            return responses.error_response_json("ValidationException", str(error), 400)
        return responses.json_response({"ScalableTargetARN": _arn()})

    return handle


def _register(targets: Targets, request: Json) -> dict[str, int]:
    """Keep the bounds, and return them.

    Raises
    ------
    ValueError
        It is of something else than the number of a service's tasks, or the bounds are none.
    """
    if (request["ServiceNamespace"], request["ScalableDimension"]) != (NAMESPACE, DIMENSION):
        raise ValueError(f"Only {DIMENSION} is emulated, not {request['ScalableDimension']}")
    place = _place(str(request["ResourceId"]))
    known = targets.get(place, {})
    given = {name: int(request[name]) for name in ("MinCapacity", "MaxCapacity") if name in request}
    bounds = known | given
    if len(bounds) < 2:
        raise ValueError("MinCapacity and MaxCapacity are required for a new scalable target")
    if bounds["MinCapacity"] > bounds["MaxCapacity"]:
        raise ValueError("Maximum capacity cannot be less than minimum capacity")
    targets[place] = bounds
    return bounds


def _adjust(resource: str, bounds: Json) -> None:
    """Bring the service into its bounds.

    Raises
    ------
    ValueError
        There is no such service.
    """
    ecs = ministack("services.ecs")
    _, cluster, name = resource.split("/")
    service = ecs._services.get(f"{cluster}/{name}")
    if service is None:
        raise ValueError(f"ECS service doesn't exist: {resource}")
    wanted = min(max(int(service["desiredCount"]), bounds["MinCapacity"]), bounds["MaxCapacity"])
    if wanted != service["desiredCount"]:
        ecs._update_service({"cluster": cluster, "service": name, "desiredCount": wanted})


def _described(targets: Targets) -> list[Json]:
    own = _place("")[:2]
    return [
        {
            "ServiceNamespace": NAMESPACE,
            "ResourceId": place[2],
            "ScalableDimension": DIMENSION,
            "RoleARN": _role(),
            "CreationTime": 0,
            **bounds,
        }
        for place, bounds in targets.items()
        if place[:2] == own
    ]


def _resource(targets: Targets) -> Handler:
    """By CloudFormation: an update that does not change the bounds leaves them as the API has set them meanwhile."""

    def create(logical_id: str, properties: Json, stack: str) -> Provisioned:
        _register(targets, properties)
        return f"{properties['ResourceId']}|{DIMENSION}|{NAMESPACE}", {"Id": str(properties["ResourceId"])}

    def update(physical_id: str, before: Json, properties: Json, stack: str) -> Provisioned:
        if before != properties:
            _register(targets, properties)
        return physical_id, {"Id": str(properties["ResourceId"])}

    def delete(physical_id: str, properties: Json) -> None:
        targets.pop(_place(physical_id.partition("|")[0]), None)

    return {"create": create, "update": update, "delete": delete}


def _place(resource: str) -> tuple[str, str, str]:
    responses = ministack("core.responses")
    return str(responses.get_account_id()), str(responses.get_region()), resource


def _arn() -> str:
    account, region, _ = _place("")
    return f"arn:aws:{SERVICE}:{region}:{account}:scalable-target/0123456789abcdef0123456789abcdef"


def _role() -> str:
    account, _, _ = _place("")
    name = "AWSServiceRoleForApplicationAutoScaling_ECSService"
    return f"arn:aws:iam::{account}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/{name}"
