"""What CloudFormation does with a type of resource and ministack's leaves out, and what it does with an inert one."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any
from unittest import mock

from local import waf
from local.ecs import Json, Provisioned, Services, ministack
from local.inert import INERT, WITHOUT_EFFECT, Handler, Ledger, inert_handler, recorded

LOOKUPS = 9
"""Of outputs of other stacks, by Fn::GetStackOutput, in one template. Each occurrence is a DescribeStacks, of which
CloudFormation takes one a second: 75 occurrences of 9 outputs failed (aws/aws-cdk#38010). No number in between is known
to work, so that more than one for each output of that report is refused."""

MOST = {"Resources": 500, "Outputs": 200, "Parameters": 200, "Mappings": 200}
"""Of each section of a template, whose size ministack looks at.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""


def mend_cloudformation(services: Services, ledger: Ledger, web_acls: waf.Deployed) -> None:
    """Put all of this into the imported ministack; what has no effect is recorded in `ledger`."""
    handlers = ministack("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    handlers.update({kind: inert_handler(kind, inert, ledger) for kind, inert in INERT.items() if kind not in handlers})
    handlers.update({kind: recorded(kind, handlers[kind], ledger) for kind in WITHOUT_EFFECT})
    handlers["AWS::EC2::VPC"] = after(handlers["AWS::EC2::VPC"], mend_vpc)
    handlers["AWS::SES::EmailIdentity"] = after(handlers["AWS::SES::EmailIdentity"], mend_email_identity)
    handlers["AWS::ECS::TaskDefinition"] = after(handlers["AWS::ECS::TaskDefinition"], mend_task_definition)
    handlers["AWS::CloudWatch::Alarm"] = alarm_handler(handlers["AWS::CloudWatch::Alarm"], ledger)
    handlers["AWS::ECS::Service"] = service_handler(handlers["AWS::ECS::Service"], services)
    for kind in waf.Deployed.KEPT:
        handlers[kind] = after(handlers[kind], functools.partial(keep_web_acl, web_acls))
    stacks = ministack("services.cloudformation.stacks")
    blocking = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda kind: kind == "AWS::ECS::Service" or blocking(kind)
    _mend_parameters()
    _limit_templates()


def _mend_parameters() -> None:
    """Have DescribeStacks give the name of a parameter that is looked up in Parameter Store, as AWS does, and not what
    was found there: who deploys a stack as it was (`ops/rollback.py`) gives the name again.
    """
    handlers = ministack("services.cloudformation.handlers")
    describe = handlers._ACTION_HANDLERS["DescribeStacks"]

    def describe_stacks(request: Json) -> Any:  # noqa: ANN401 - ministack's response
        for stack in ministack("services.cloudformation")._stacks.values():
            names = stack.get("_resolved_params", {})
            for parameter in stack.get("Parameters", []):
                found = names.get(parameter["ParameterKey"], {})
                parameter["ParameterValue"] = found.get("SsmName", parameter["ParameterValue"])
        return describe(request)

    handlers._ACTION_HANDLERS["DescribeStacks"] = describe_stacks


def _limit_templates() -> None:
    """Have an operation on a stack fail whose template is too large, or looks up more than AWS is known to bear."""
    engine = ministack("services.cloudformation.engine")
    validate = engine.validate_template_support

    def validate_template_support(template: Json, *rest: object, **more: object) -> Any:  # noqa: ANN401 - ministack's
        text = json.dumps(template)
        for section, most in MOST.items():
            if (number := len(template.get(section) or {})) > most:
                said = f"Number of {section.lower()}, {number}, is greater than maximum allowed, {most}"
                raise ValueError(f"Template format error: {said}")
        if text.count('"Fn::GetStackOutput"') > LOOKUPS:
            raise ValueError("Throttling: Rate exceeded")
        return validate(template, *rest, **more)

    for name in ("handlers", "changesets"):
        ministack(f"services.cloudformation.{name}").validate_template_support = validate_template_support


def after(handler: Handler, mend: Callable[[Provisioned, Json], Provisioned]) -> Handler:
    """A handler whose creation and update are followed by `mend(provisioned, properties)`."""

    def create(logical_id: str, properties: Json, *rest: object) -> Provisioned:
        return mend(handler["create"](logical_id, properties, *rest), properties)

    def update(physical_id: str, before: Json, properties: Json, *rest: object) -> Provisioned:
        return mend(handler["update"](physical_id, before, properties, *rest), properties)

    return {**handler, "create": create, "update": update}


def mend_vpc(provisioned: Provisioned, properties: Json) -> Provisioned:
    """Add the attribute CidrBlock, which ministack leaves out."""
    physical_id, attributes = provisioned
    return physical_id, {**attributes, "CidrBlock": properties.get("CidrBlock", "")}


def mend_email_identity(provisioned: Provisioned, properties: Json) -> Provisioned:
    """Add the attributes of the DKIM records, which ministack leaves out: other ones in each region.

    https://docs.aws.amazon.com/ses/latest/dg/send-email-authentication-dkim-deed.html has those that are not.
    """
    physical_id, attributes = provisioned
    region = ministack("core.responses").get_region()
    domain = properties["EmailIdentity"]
    records = {
        f"DkimDNSToken{part}{number}": f"token{number}-{region}.{zone}"
        for part, zone in (("Name", f"_domainkey.{domain}"), ("Value", "dkim.amazonses.com"))
        for number in (1, 2, 3)
    }
    return physical_id, {**attributes, **records}


def keep_web_acl(web_acls: waf.Deployed, provisioned: Provisioned, properties: Json) -> Provisioned:
    """Have the load balancers know of a part of a web ACL."""
    web_acls.keep(*provisioned, properties)
    return provisioned


def mend_task_definition(provisioned: Provisioned, properties: Json) -> Provisioned:
    """Restore what ministack loses: all that is nested in a container definition (secrets, …), and the platform."""
    camel = ministack("services.cloudformation.provisioners")._pascal_to_camel
    definition = ministack("services.ecs")._task_defs[provisioned[0].rpartition("/")[2]]
    definition["containerDefinitions"] = [
        {"cpu": 0, "essential": True, **camel(container), **_verbatim(container)}
        for container in properties["ContainerDefinitions"]
    ]
    definition["volumes"] = camel(properties.get("Volumes") or [])
    for name in ("RuntimePlatform", "EphemeralStorage"):
        if name in properties:
            definition[name[0].lower() + name[1:]] = camel(properties[name])
    return provisioned


def _verbatim(container: Json) -> dict[str, Any]:
    """Maps whose keys are the user's own words, not names of properties."""
    kept = {}
    if "DockerLabels" in container:
        kept["dockerLabels"] = dict(container["DockerLabels"])
    return kept


def service_handler(handler: Handler, services: Services) -> Handler:
    """AWS::ECS::Service: with the properties that ministack drops at creation, and stable before it counts as done."""

    def create(logical_id: str, properties: Json, stack: str) -> Provisioned:
        ecs = ministack("services.ecs")
        create_service = ecs._create_service

        def complete(request: dict[str, Any]) -> Any:  # noqa: ANN401 - ministack's response
            dropped = ("HealthCheckGracePeriodSeconds", "EnableExecuteCommand", "PlatformVersion", "PropagateTags")
            extra = {name[0].lower() + name[1:]: properties[name] for name in dropped if name in properties}
            return create_service({**request, **extra})

        with mock.patch.object(ecs, "_create_service", complete):
            physical_id, attributes = handler["create"](logical_id, properties, stack)
        services.stabilize(physical_id)
        return physical_id, attributes

    def update(physical_id: str, before: Json, properties: Json, stack: str) -> Provisioned:
        provisioned: Provisioned = handler["update"](physical_id, before, properties, stack)
        services.stabilize(physical_id)
        return provisioned

    def delete(physical_id: str, properties: Json) -> None:
        containers = services.containers_of(physical_id)
        handler["delete"](physical_id, properties)
        services.await_end(containers)

    return {**handler, "create": create, "update": update, "delete": delete}


def alarm_handler(handler: Handler, ledger: Ledger) -> Handler:
    """AWS::CloudWatch::Alarm: also one of metric math, which ministack refuses. It is kept, and nobody evaluates it."""
    alarms = ministack("services.cloudwatch")._alarms

    def plain(properties: Json) -> Json:
        return (
            {**properties, "Metrics": None, "MetricName": "-", "Namespace": "-"} if _is_math(properties) else properties
        )

    def keep(provisioned: Provisioned, properties: Json) -> Provisioned:
        if _is_math(properties):
            alarm = alarms[provisioned[0]]
            alarm["Metrics"] = properties["Metrics"]
            del alarm["MetricName"], alarm["Namespace"]
        return provisioned

    def create(logical_id: str, properties: Json, stack: str) -> Provisioned:
        provisioned = keep(handler["create"](logical_id, plain(properties), stack), properties)
        if _is_math(properties):
            ledger.add(provisioned[0], kind="AWS::CloudWatch::Alarm", logical_id=logical_id, stack=stack)
        return provisioned

    def update(physical_id: str, before: Json, properties: Json, *rest: object, **more: object) -> Provisioned:
        return keep(handler["update"](physical_id, plain(before), plain(properties), *rest, **more), properties)

    def delete(physical_id: str, properties: Json) -> None:
        handler["delete"](physical_id, properties)
        ledger.remove(physical_id)

    return {**handler, "create": create, "update": update, "delete": delete}


def _is_math(properties: Json) -> bool:
    return "Metrics" in properties
