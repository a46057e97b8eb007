"""The decision about one action, by the policies of whoever acts; each is written down."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from local.ecs import Json, ministack

SENDING = ("ses:SendEmail", "ses:SendRawEmail")
REGISTER = "application-autoscaling:RegisterScalableTarget"
TASK_ROLES = ("executionRoleArn", "taskRoleArn")

# The request that is being decided on: what ministack tells its evaluator is not enough for every condition.
_request: ContextVar[Json] = ContextVar("request", default={})  # noqa: B039 - never changed

_refused: ContextVar[tuple[str, str]] = ContextVar("refused", default=("", ""))


class Decisions:
    """Decides, and writes each distinct decision down: a line of JSON with principal, action, resource and allowed.

    Parameters
    ----------
    file
        Where; appended to.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: set[tuple[str, str, str, bool]] = set()
        self._lock = threading.Lock()

    def record(self, principal: str, action: str, resource: str, *, allowed: bool) -> None:
        """Write a decision down, once."""
        decision = (principal, action, resource, allowed)
        with self._lock:
            if decision in self._known:
                return
            self._known.add(decision)
            line = dict(zip(("principal", "action", "resource", "allowed"), decision, strict=True))
            with self._file.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def of_role(
        self, role: str, service: str, session: str, action: str, resource: str, **conditions: str | list[str]
    ) -> str | None:
        """Why a service may not do this with a role, in AWS's words; None if it may.

        Parameters
        ----------
        role
            The role's ARN.
        service
            Who acts, as a trust policy names it (`ecs-tasks.amazonaws.com`).
        conditions
            The values of the condition keys of the action, by the key with "__" for its colon.
        """
        evaluator = ministack("core.iam_evaluator")
        _, _, _, _, account, name = role.split(":", 5)
        name = name.rpartition("/")[2]
        if refusal := self.of_trust(role, service):
            return refusal
        principal = f"arn:aws:sts::{account}:assumed-role/{name}/{session}"
        context = evaluator.EvalContext(
            principal_arn=principal,
            principal_type="AssumedRole",
            principal_account=account,
            action=action,
            resource_arn=resource,
            region=_region_of(resource),
            service_context={key.replace("__", ":").lower(): value for key, value in conditions.items()},
        )
        decision = evaluator.evaluate(context, evaluator._gather_role_policies(name, account))
        if policy := _policy_of(action.partition(":")[0], resource):
            decision = evaluator.combine_resource_policy(decision, context, *policy)
        allowed = decision.decision == "Allow"
        self.record(principal, action, resource, allowed=allowed)
        if allowed:
            return None
        return str(ministack("core.iam_actions").identity_denial_message(action, principal, resource, False))

    def of_trust(self, role: str, service: str) -> str | None:
        """Why a role's trust policy does not let a service become it; None if it does.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-trust-policy.html
        """
        _, _, _, _, account, name = role.split(":", 5)
        known = ministack("services.iam")._roles.get_scoped(account, None, name.rpartition("/")[2]) or {}
        return self.of_service(known.get("AssumeRolePolicyDocument"), service, "sts:AssumeRole", role, role)

    def of_service(self, policy: object, service: str, action: str, resource: str, source: str) -> str | None:
        """Why the policy of a resource does not let a service do this for `source`; None if it does.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html (services)
        """
        evaluator = ministack("core.iam_evaluator")
        account = source.split(":")[4] or resource.split(":")[4]
        context = evaluator.EvalContext(
            principal_arn="*",
            principal_type="Service",
            principal_account="",
            action=action,
            resource_arn=resource,
            region=_region_of(resource),
            service_context={"aws:sourcearn": source, "aws:sourceaccount": account},
        )
        allowed = evaluator.evaluate_resource_policy(policy or "{}", context, service=service).decision == "Allow"
        self.record(service, action, resource, allowed=allowed)
        return None if allowed else f"{service} is not authorized to perform: {action} on resource: {resource}"


def mend_iam(decisions: Decisions) -> None:
    """Put into the imported ministack what its IAM leaves out, and have it write its decisions down."""
    _mend_transport()
    _mend_principals()
    _mend_resources()
    evaluator = ministack("core.iam_evaluator")
    enforce = evaluator.enforce

    def decide(
        key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: Json | None = None
    ) -> Any:  # noqa: ANN401 - ministack's refusal, or None
        if evaluator.is_root_access_key(key or ""):  # may do everything, once it is known
            return enforce(key, action, service, region, resource_arn=resource_arn, service_context=service_context)
        request = _request.get()
        principal = evaluator.resolve_principal(key, ministack("core.responses").get_account_id())
        own, resources = _conditions(action, request), _resources(action, request) or [resource_arn]
        wanted = [(action, resource, own) for resource in resources]
        wanted += _tagged(action, request)
        wanted += [(one, resource, {}) for one, resource in _behind(action, request)]
        wanted += [("iam:PassRole", role, {"iam:PassedToService": to}) for role, to in _passed_roles(action, request)]
        for one, resource, conditions in wanted:
            context = {**(service_context or {}), **conditions}
            refusal = enforce(key, one, service, region, resource_arn=resource, service_context=context)
            if isinstance(refusal, evaluator.AuthError):
                return refusal
            decisions.record(principal.arn, one, resource, allowed=refusal is None)
            if refusal is not None:
                _refused.set((one, resource))
                return refusal
        return None

    evaluator.enforce = decide
    _mend_words()


def _mend_transport() -> None:
    """Have every request count as one by TLS: policies refuse those without, and the loopback needs none."""
    application = ministack("app")
    pin = application.pin_request_origin
    application.pin_request_origin = lambda address, _: pin(address, True)


def _mend_principals() -> None:
    """Have aws:PrincipalArn of a session be its role's ARN, as in AWS, and not that of the session.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
    """
    evaluator = ministack("core.iam_evaluator")
    resolve = evaluator._resolve_condition_key

    def resolve_condition_key(key: str, context: Any) -> Any:  # noqa: ANN401 - ministack's
        value = resolve(key, context)
        if key.lower() != "aws:principalarn" or ":assumed-role/" not in str(value):
            return value
        account, name = str(value).split(":")[4], evaluator._role_name_from_assumed_arn(value)
        role = ministack("services.iam")._roles.get_scoped(account, None, name) or {}
        return role.get("Arn", value)

    evaluator._resolve_condition_key = resolve_condition_key


def _mend_words() -> None:
    """Have a refusal name the action and the resource that were refused: ministack knows one of each."""
    actions = ministack("core.iam_actions")
    deny = actions.access_denied_response

    def access_denied(service: str, action: str, principal: str, request: str, **named: Any) -> Any:  # noqa: ANN401
        refused, resource = _refused.get()
        if refused and not named.get("error_code") and not named.get("resource_policy_arn"):
            explicit = named.get("explicit_deny", False)
            message = actions.identity_denial_message(refused, principal, resource, explicit)
            named |= {"message": message, "resource_arn": resource}
            action = refused
        return deny(service, action, principal, request, **named)

    actions.access_denied_response = access_denied


def _mend_resources() -> None:
    """Know the resource of a request where ministack takes it for one about all (`*`), and keep the request."""
    actions = ministack("core.iam_actions")
    action_of, resource_of = actions.extract_iam_action, actions.extract_resource_arn

    def extract_iam_action(
        service: str, method: str, path: str, headers: Json, body: bytes, parameters: Json
    ) -> str | None:
        about(fields(service, body, parameters))
        action: str | None = action_of(service, method, path, headers, body, parameters)
        return action

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Json, body: bytes, parameters: Json, region: str, account: str
    ) -> str:
        found = str(resource_of(service, method, path, headers, body, parameters, region, account))
        if found != "*" or service != "ecr":
            return found
        names = fields(service, body, parameters).get("repositoryNames")  # DescribeRepositories
        return f"arn:aws:ecr:{region}:{account}:repository/{names[0]}" if names else found

    actions.extract_iam_action, actions.extract_resource_arn = extract_iam_action, extract_resource_arn


def about(request: Json) -> None:
    """Have the decisions that follow be about a request: what it says, by the names of its API."""
    _request.set(request)
    _refused.set(("", ""))


def fields(service: str, body: bytes, parameters: Json) -> dict[str, Any]:
    """What a request says, whether as JSON or as a form; the body of one to S3 is an object, of any size."""
    if service == "s3":
        return {**parameters}
    try:
        said = json.loads(body or b"{}")
    except ValueError:
        said = {name: values[0] for name, values in parse_qs(body.decode("latin-1")).items()}
    return {**parameters, **said} if isinstance(said, dict) else {**parameters}


def _conditions(action: str, request: Json) -> Mapping[str, str]:
    """The values of an action's own condition keys: those that policies here use.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html
    https://docs.aws.amazon.com/ses/latest/dg/control-user-access.html
    """
    if action == "ecs:RunTask":
        cluster = str(request.get("cluster", "default"))
        if not cluster.startswith("arn:"):
            responses = ministack("core.responses")
            cluster = f"arn:aws:ecs:{responses.get_region()}:{responses.get_account_id()}:cluster/{cluster}"
        return {"ecs:cluster": cluster}
    if action in SENDING:
        return {"ses:FromAddress": _sender(request)}
    if action == REGISTER:
        return {"application-autoscaling:service-namespace": str(request.get("ServiceNamespace", ""))}
    return {}


def _behind(action: str, request: Json) -> list[tuple[str, str]]:
    """What an action asks of its caller at the service that it acts on, and of which resource.

    https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_id-based-policy-examples.html
    """
    if action != REGISTER:
        return []
    responses = ministack("core.responses")
    service = f"arn:aws:ecs:{responses.get_region()}:{responses.get_account_id()}:{request.get('ResourceId', '')}"
    return [(f"ecs:{one}", service) for one in ("DescribeServices", "UpdateService")]


def _resources(action: str, request: Json) -> list[str]:
    """What a request acts on, where that is more than one resource or ministack takes another for it; else nothing.

    Sending asks for the sender's identity and for the configuration set:
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsimpleemailservicev2.html
    """
    responses = ministack("core.responses")
    place = f"{responses.get_region()}:{responses.get_account_id()}"
    if action == "ecs:RunTask":
        return [str(task_definition(str(request.get("taskDefinition", ""))).get("taskDefinitionArn", "*"))]
    if action in ("ecs:DescribeTasks", "ecs:StopTask"):
        cluster = str(request.get("cluster", "default")).rpartition("/")[2]
        tasks = [str(task) for task in request.get("tasks") or [request.get("task")]]
        return [f"arn:aws:ecs:{place}:task/{cluster}/{task.rpartition('/')[2]}" for task in tasks]
    if action == REGISTER:
        return [f"arn:aws:application-autoscaling:{place}:scalable-target/{'0' * 32}"]
    if action == "elasticloadbalancing:SetRulePriorities":
        return [str(value) for name, value in request.items() if name.endswith(".RuleArn")]
    if action.startswith("ssm:") and request.get("Names"):
        return [f"arn:aws:ssm:{place}:parameter/{name.lstrip('/')}" for name in request["Names"]]
    if action in SENDING:
        name = request.get("ConfigurationSetName")
        sets = [f"arn:aws:ses:{place}:configuration-set/{name}"] if name else []
        return [f"arn:aws:ses:{place}:identity/{identity_of(_sender(request))}", *sets]
    return []


def identity_of(address: str) -> str:
    """The verified identity that an address is sent from or to: itself, its domain, or one above; else the address."""
    domain = address.rpartition("@")[2]
    labels = domain.split(".")
    candidates = [address, *(".".join(labels[start:]) for start in range(len(labels) - 1))]
    identities = ministack("services.ses")._identities
    return next((candidate for candidate in candidates if candidate in identities), address)


def _sender(request: Json) -> str:
    return str(request.get("FromEmailAddress") or request.get("Source") or "").rpartition("<")[2].rstrip(">")


def _tagged(action: str, request: Json) -> list[tuple[str, str, Mapping[str, str]]]:
    """The tagging that an action does on the way, which is a permission of its own.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_permissions-required
    What the trust of an assumed role says of it, ministack's STS asks by itself.
    """
    if action == "sts:AssumeRole" and (request.get("Tags") or "Tags.member.1.Key" in request):
        return [("sts:TagSession", str(request.get("RoleArn", "*")), {})]
    if action != "ecs:RunTask" or not request.get("tags"):
        return []
    responses = ministack("core.responses")
    cluster = str(request.get("cluster", "default")).rpartition("/")[2]
    tasks = f"arn:aws:ecs:{responses.get_region()}:{responses.get_account_id()}:task/{cluster}/*"
    return [("ecs:TagResource", tasks, {"ecs:CreateAction": "RunTask"})]


def _passed_roles(action: str, request: Json) -> Iterator[tuple[str, str]]:
    """The roles that an action hands to a service, and the service.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
    """
    if action == "ecs:RunTask":
        definition = task_definition(str(request.get("taskDefinition", "")))
        for role in TASK_ROLES:
            if definition.get(role):
                yield definition[role], "ecs-tasks.amazonaws.com"
    if action == "cloudformation:CreateChangeSet" and request.get("RoleARN"):
        yield str(request["RoleARN"]), "cloudformation.amazonaws.com"


def task_definition(reference: str) -> Json:
    """The registered task definition that a family, a revision or an ARN names; empty if there is none."""
    ecs = ministack("services.ecs")
    definition: Json = ecs._task_defs.get(ecs._resolve_td_key(reference)) or {}
    return definition


def _policy_of(service: str, resource: str) -> tuple[object, str] | None:
    """The policy of a resource and its account, looked up there."""
    if not resource.startswith("arn:"):
        return None
    _, _, _, region, account, _ = resource.split(":", 5)
    responses = ministack("core.responses")
    with responses.request_scope(account or responses.get_account_id(), region or responses.get_region()):
        policy: tuple[object, str] | None = ministack("core.iam_evaluator")._resource_policy(service, resource)
    return policy


def _region_of(arn: str) -> str:
    return arn.split(":")[3] if arn.startswith("arn:") else ""
