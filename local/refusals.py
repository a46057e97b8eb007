"""What AWS's services refuse CloudFormation, and ministack's do not: what comes too early, and what is protected.

A service that works in an account by a role of its own makes that role on first use, and cannot use it yet: IAM takes a
while to know it. So the first cluster or database of an account is refused, and the next one is not. What an operator
makes beforehand (`aws iam create-service-linked-role`) is there at once.

What has deletion protection is not deleted, by CloudFormation neither: a stack whose creation is rolled back ends as
ROLLBACK_FAILED then. A target group belongs to one load balancer. An account has a dashboard of a name once, whatever
the region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from local.ecs import Json, Provisioned, ministack
from local.inert import Handler
from local.place import Place

ROLES: Final[Mapping[str, str]] = {
    "codestar-notifications.amazonaws.com": "AWSServiceRoleForCodeStarNotifications",
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "rds.amazonaws.com": "AWSServiceRoleForRDS",
}
"""Names of service-linked roles by the service.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html"""

_NO_ECS: Final = (
    "Invalid request provided: CreateCluster Invalid Request: Unable to assume the service linked role. Please verify "
    "that the ECS service linked role exists."
)
_NO_RDS: Final = (
    "Unable to create the resource. Verify that you have permission to create service linked role. Otherwise wait and "
    "try again later"
)
_NO_RDS_SUBNETS: Final = (
    "Missing necessary credentials. Please check "
    "http://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAM.ServiceLinkedRoles.html"
)
# As they are told in aws-cloudformation/cloudformation-coverage-roadmap issue 818 (ECS), aws-samples/eks-workshop-v2
# issue 1609 (a database) and terraform-aws-modules/terraform-aws-rds issue 364 (its subnet group).
NEEDED: Final[Mapping[str, tuple[str, str]]] = {
    "AWS::ECS::Cluster": ("ecs.amazonaws.com", _NO_ECS),
    "AWS::RDS::DBCluster": ("rds.amazonaws.com", _NO_RDS),
    "AWS::RDS::DBInstance": ("rds.amazonaws.com", _NO_RDS),
    "AWS::RDS::DBSubnetGroup": ("rds.amazonaws.com", _NO_RDS_SUBNETS),
}
"""By the type of a resource: the service whose role its creation needs, and what is said without."""


def mend_refusals() -> None:
    """Put all of this into the imported ministack."""
    ministack("services.iam")._IAM_HANDLERS["CreateServiceLinkedRole"] = _create_service_linked_role
    handlers = ministack("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    for kind, (service, reason) in NEEDED.items():
        handlers[kind] = _needing(handlers[kind], service, reason)
    balancer, cluster = "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::RDS::DBCluster"
    handlers[balancer] = _protected(handlers[balancer], _protected_balancer)
    handlers[cluster] = _protected(handlers[cluster], _protected_cluster)
    stacks = ministack("services.cloudformation.stacks")
    stacks._roll_back_operation = _keeping_what_is_left(stacks._roll_back_operation)
    rule, dashboard = "AWS::ElasticLoadBalancingV2::ListenerRule", "AWS::CloudWatch::Dashboard"
    handlers[rule] = _of_one_balancer(handlers[rule])
    ministack("services.cloudwatch")._dashboards = ministack("core.responses").AccountScopedDict()
    handlers[dashboard] = _once(handlers[dashboard])


def add_service_roles(place: Place) -> None:
    """Make the service-linked roles that an operator makes in an account before the first deployment."""
    with ministack("core.responses").request_scope(place.account, place.region):
        for service in ROLES:
            _add_role(service)


def _add_role(service: str) -> str:
    """Make the role of a service, unless it is there; its name."""
    iam, name = ministack("services.iam"), ROLES[service]
    if name not in iam._roles:
        before = set(iam._roles)
        _ministacks_own({"AWSServiceName": service})
        (wrong,) = set(iam._roles) - before  # by the service's name, which is not how AWS spells them
        role = iam._roles.pop(wrong)
        iam._roles[name] = role | {"RoleName": name, "Arn": role["Arn"].replace(wrong, name)}
    return name


def _ministacks_own(request: Json) -> None:
    ministack("services.iam")._create_service_linked_role(request)


def _create_service_linked_role(request: Json) -> Any:  # noqa: ANN401 - ministack's response
    iam = ministack("services.iam")
    service = iam._p(request, "AWSServiceName")
    if service not in ROLES:
        return iam._error(400, "InvalidInput", f"The role of {service} is not emulated.", ns="iam")
    if (name := ROLES[service]) in iam._roles:
        taken = f"Service role name {name} has been taken in this account, please try a different suffix."
        return iam._error(400, "InvalidInput", taken, ns="iam")
    role = f"<Role>{iam._role_xml(_add_role(service))}</Role>"
    answer = f"<CreateServiceLinkedRoleResult>{role}</CreateServiceLinkedRoleResult>"
    return iam._xml(200, "CreateServiceLinkedRoleResponse", answer, ns="iam")


def _needing(handler: Handler, service: str, reason: str) -> Handler:
    def create(logical_id: str, properties: Json, *rest: object) -> Provisioned:
        if ROLES[service] not in ministack("services.iam")._roles:
            _add_role(service)
            raise ValueError(reason)
        provisioned: Provisioned = handler["create"](logical_id, properties, *rest)
        return provisioned

    return {**handler, "create": create}


def _protected(handler: Handler, reason_of: Callable[[str], str]) -> Handler:
    def delete(physical_id: str, properties: Json) -> None:
        if reason := reason_of(physical_id):
            raise ValueError(reason)
        handler["delete"](physical_id, properties)

    return {**handler, "delete": delete}


def _protected_balancer(arn: str) -> str:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DeleteLoadBalancer.html"""
    attributes = {each["Key"]: each["Value"] for each in ministack("services.alb")._lb_attrs.get(arn, ())}
    if attributes.get("deletion_protection.enabled") == "true":
        return f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
    return ""


def _protected_cluster(identifier: str) -> str:
    """https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_DeleteCluster.html"""
    cluster = ministack("services.rds")._clusters.get(identifier) or {}
    if cluster.get("DeletionProtection"):
        return "Cannot delete protected Cluster, please disable deletion protection and try again."
    return ""


def _keeping_what_is_left(roll_back: Callable[..., Any]) -> Callable[..., Any]:
    """Have a stack keep the resources that the rollback of its creation could not delete: ministack forgets them."""

    async def rolled_back(name: str, stack_id: str, stack: dict[str, Any], *rest: object, **more: object) -> None:
        before = dict(stack.get("_resources", {}))
        await roll_back(name, stack_id, stack, *rest, **more)
        if stack["StackStatus"] == "ROLLBACK_FAILED":
            left = stack["_rollback_failed"].keys() & before.keys()
            stack["_resources"] |= {each: before[each] | {"ResourceStatus": "DELETE_FAILED"} for each in left}

    return rolled_back


def _once(handler: Handler) -> Handler:
    """Refuse a dashboard over another: they are global, and what CloudFormation makes must not be there before.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudwatch-dashboard.html
    https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract.html (create handlers)
    """

    def create(logical_id: str, properties: Json, *rest: object) -> Provisioned:
        name = properties.get("DashboardName")
        if name in ministack("services.cloudwatch")._dashboards:
            kind = "AWS::CloudWatch::Dashboard"
            raise ValueError(f"Resource of type '{kind}' with identifier '{name}' already exists.")
        provisioned: Provisioned = handler["create"](logical_id, properties, *rest)
        return provisioned

    return {**handler, "create": create}


def _of_one_balancer(handler: Handler) -> Handler:
    """Refuse to forward to targets that another load balancer forwards to (aws/aws-cdk issue 33253)."""

    def check(properties: Json) -> None:
        alb = ministack("services.alb")
        own = alb._listeners[properties["ListenerArn"]]["LoadBalancerArn"]
        for group in _forwarded(properties["Actions"]):
            others = {
                alb._listeners[rule["ListenerArn"]]["LoadBalancerArn"]
                for rule in alb._rules.values()
                if group in _forwarded(rule["Actions"]) and rule["ListenerArn"] in alb._listeners
            }
            if others - {own}:
                raise ValueError(
                    f"The following target groups cannot be associated with more than one load balancer: {group}"
                )

    def create(logical_id: str, properties: Json, *rest: object) -> Provisioned:
        check(properties)
        provisioned: Provisioned = handler["create"](logical_id, properties, *rest)
        return provisioned

    def update(physical_id: str, before: Json, properties: Json, *rest: object, **more: object) -> Provisioned:
        if before["ListenerArn"] != properties["ListenerArn"]:  # which replaces it
            check(properties)
        provisioned: Provisioned = handler["update"](physical_id, before, properties, *rest, **more)
        return provisioned

    return {**handler, "create": create, "update": update}


def _forwarded(actions: Sequence[Json]) -> Iterator[str]:
    for action in actions:
        if action.get("TargetGroupArn"):
            yield action["TargetGroupArn"]
        for group in (action.get("ForwardConfig") or {}).get("TargetGroups") or ():
            yield group["TargetGroupArn"]
