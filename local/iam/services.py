"""What AWS's services do by themselves: each time by a role that they were given, or let in by a resource's policy.

What is refused does not happen, as in AWS; where AWS tells somebody, it is told here in AWS's words.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from local.ecs import Json, ministack
from local.iam.decisions import Decisions

TASKS, LAMBDA = "ecs-tasks.amazonaws.com", "lambda.amazonaws.com"
CREDENTIALS = "/v2/credentials/"
LIFETIME = 6 * 3600  # seconds that a task's credentials are good for, as ECS gives them
# What ECS does for a task with its execution role:
# docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
LOG = ("logs:CreateLogStream", "logs:PutLogEvents")
# docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html (execution role permissions)
POLL = {
    "ReceiveMessage": "sqs:ReceiveMessage",
    "DeleteMessage": "sqs:DeleteMessage",
    "GetQueueAttributes": "sqs:GetQueueAttributes",
}

# docs.aws.amazon.com/sns/latest/dg/sns-key-management.html (enable event sources from AWS services)
PUBLISH_ENCRYPTED = ("kms:GenerateDataKey", "kms:Decrypt")

_log = logging.getLogger("ministack")
_definition: ContextVar[Json] = ContextVar("definition", default={})  # noqa: B039 - never changed
_machine_role: ContextVar[str] = ContextVar("machine_role", default="")


def mend_services(decisions: Decisions) -> None:
    """Put all of this into the imported ministack."""
    _mend_execution_role(decisions)
    _mend_task_role(decisions)
    _mend_function_roles(decisions)
    _mend_topics_keys()
    _mend_topics(decisions)
    _mend_api(decisions)
    _mend_state_machines(decisions)
    _mend_event_sources(decisions)
    _mend_destinations(decisions)


def _mend_execution_role(decisions: Decisions) -> None:
    """Have ECS fetch a container's image and secrets, and write its log, with the task's execution role."""
    ecs = ministack("services.ecs")
    start, resolve = ecs._start_task_worker, ecs._resolve_container_secrets

    def start_task(task: Json, definition: Json, *rest: object) -> Any:  # noqa: ANN401 - ministack's
        _definition.set(definition)
        return start(task, definition, *rest)

    def resolve_secrets(container: Json) -> Any:  # noqa: ANN401 - ministack's
        definition = _definition.get()
        role = str(definition.get("executionRoleArn") or "")
        for action, resource in _of_execution_role(container):
            if not role:
                raise ecs._SecretResolutionError("an execution role is needed for secrets, an image of ECR, and logs")
            if refusal := decisions.of_role(role, TASKS, definition["family"], action, resource):
                raise ecs._SecretResolutionError(
                    f"execution resource retrieval failed: service call has been retried 1 time(s): "
                    f"AccessDeniedException: {refusal}"
                )
        return resolve(container)

    ecs._start_task_worker, ecs._resolve_container_secrets = start_task, resolve_secrets


def _of_execution_role(container: Json) -> list[tuple[str, str]]:
    """The actions on resources that a container's start needs."""
    registry, _, repository = str(container["image"]).partition("/")
    needed = []
    if ".dkr.ecr." in registry:
        account, _, _, region, *_ = registry.split(".")
        name = repository.partition("@")[0].partition(":")[0]
        arn = f"arn:aws:ecr:{region}:{account}:repository/{name}"
        needed += [("ecr:GetAuthorizationToken", "*"), *((action, arn) for action in PULL)]
    needed += [("ssm:GetParameters", _parameter(secret["valueFrom"])) for secret in container.get("secrets", [])]
    options = (container.get("logConfiguration") or {}).get("options") or {}
    if group := options.get("awslogs-group"):
        account = ministack("core.responses").get_account_id()
        stream = f"arn:aws:logs:{options['awslogs-region']}:{account}:log-group:{group}:log-stream:"
        needed += [(action, stream) for action in LOG]
    return needed


def _parameter(reference: str) -> str:
    """The ARN of a parameter that is named by its ARN or, in the task's region, by its name."""
    if reference.startswith("arn:"):
        return reference
    responses = ministack("core.responses")
    return f"arn:aws:ssm:{responses.get_region()}:{responses.get_account_id()}:parameter/{reference.lstrip('/')}"


def _mend_function_roles(decisions: Decisions) -> None:
    """Have Lambda refuse a function whose role does not trust it.

    https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
    """
    handlers = ministack("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    handler = handlers["AWS::Lambda::Function"]

    def create(logical_id: str, properties: Json, *rest: object) -> Any:  # noqa: ANN401 - ministack's
        if decisions.of_trust(str(properties.get("Role", "")), LAMBDA):
            raise ValueError("The role defined for the function cannot be assumed by Lambda.")
        return handler["create"](logical_id, properties, *rest)

    handlers["AWS::Lambda::Function"] = {**handler, "create": create}


def task_variables(task: str) -> dict[str, str]:
    """What ECS sets for every task on Fargate by itself, beside its metadata and credentials: by the task's ARN.

    Amazon ECS developer guide, "Amazon ECS environment variables".
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-environment-variables.html
    """
    region = task.split(":")[3]
    return {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE"}


def _mend_task_role(decisions: Decisions) -> None:
    """Have a task's containers get sessions of the task's role, and none where it has no role that trusts ECS's tasks.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    """
    ecs, imds, responses = ministack("services.ecs"), ministack("services.imds"), ministack("core.responses")
    register, handle = ecs._register_metadata, imds.handle_request
    known: dict[str, tuple[str, str, str]] = {}  # by the end of the URL: the role, the session, the token to show

    def register_metadata(task: str, cluster: str, definition: Json, container: Json, *rest: Any) -> Any:  # noqa: ANN401
        registered = register(task, cluster, definition, container, *rest)
        variables: dict[str, str] = rest[1]
        for name, value in task_variables(task).items():
            variables.setdefault(name, value)
        role, identity = definition.get("taskRoleArn"), task.rpartition("/")[2]
        if role and not decisions.of_trust(role, TASKS):
            url, token = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"], variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
            known[url.rpartition("/")[2]] = (role, identity, token)
        else:
            del variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"], variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
        return registered

    async def answer(method: str, path: str, headers: Json, body: bytes, parameters: Json) -> Any:  # noqa: ANN401
        if not path.startswith(CREDENTIALS):
            return await handle(method, path, headers, body, parameters)
        role, identity, token = known.get(path.removeprefix(CREDENTIALS), ("", "", ""))
        if not role or headers.get("authorization") != token:
            return responses.error_response_json("AccessDeniedException", "Unable to get credentials for the task", 403)
        return responses.json_response(_session(role, identity))

    ecs._register_metadata, imds.handle_request = register_metadata, answer


def _session(role: str, name: str) -> Json:
    """A new session of a role, as ECS hands it to a container."""
    _, _, _, _, account, path = role.split(":", 5)
    own = path.rpartition("/")[2]
    seed = secrets.token_hex(16)
    key, secret = f"ASIA{seed[:16].upper()}", hashlib.sha256(seed.encode()).hexdigest()
    token, ends = secrets.token_urlsafe(64), time.time() + LIFETIME
    session = {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{own}/{name}",
        "UserId": f"{own}:{name}",
        "AccountId": account,
        "PrincipalType": "AssumedRole",
        "SecretAccessKey": secret,
        "SessionToken": token,
        "Expiration": ends,
    }
    ministack("services.sts").register_session(key, session)
    expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
    return {
        "AccessKeyId": key,
        "SecretAccessKey": secret,
        "Token": token,
        "Expiration": expiration,
        "RoleArn": role,
    }


def refusal_by_policy(decisions: Decisions, service: str, arn: str, source: str) -> str | None:
    """Why a function's, a queue's or a topic's policy, or that of a topic's key, does not let a service in."""
    kind = arn.split(":")[2]
    found, action = {
        "lambda": (ministack("services.lambda_svc").function_policy_for_arn, "lambda:InvokeFunction"),
        "sqs": (ministack("services.sqs").queue_policy_for_arn, "sqs:SendMessage"),
        "sns": (ministack("services.sns").topic_policy_for_arn, "sns:Publish"),
    }.get(kind, (lambda _: None, f"{kind}:*"))
    policy, _ = found(arn) or ("{}", "")
    refusal = decisions.of_service(policy, service, action, arn, source)
    return refusal or (_refusal_by_key(decisions, service, arn, source) if kind == "sns" else None)


def _mend_topics_keys() -> None:
    """Have CloudFormation note the key that a topic is to be encrypted with: ministack leaves it out."""
    handlers, topics = ministack("services.cloudformation.provisioners")._RESOURCE_HANDLERS, ministack("services.sns")
    handler = handlers["AWS::SNS::Topic"]

    def note(topic: str, properties: Json) -> None:
        attributes = topics._topics[topic]["attributes"]
        attributes.pop("KmsMasterKeyId", None)
        if key := properties.get("KmsMasterKeyId"):
            attributes["KmsMasterKeyId"] = str(key)

    def create(logical_id: str, properties: Json, *rest: object) -> Any:  # noqa: ANN401 - ministack's
        topic, attributes = handler["create"](logical_id, properties, *rest)
        note(topic, properties)
        return topic, attributes

    def update(topic: str, before: Json, properties: Json, *rest: object, **named: object) -> Any:  # noqa: ANN401
        updated = handler["update"](topic, before, properties, *rest, **named)
        note(updated[0] if isinstance(updated, tuple) else topic, properties)
        return updated

    handlers["AWS::SNS::Topic"] = {**handler, "create": create, "update": update}


def _refusal_by_key(decisions: Decisions, service: str, topic: str, source: str) -> str | None:
    """Why the key that a topic is encrypted with does not let a service publish there; None if it does, or none is.

    Of AWS's own key for SNS nobody can change the policy, and it lets no service in.
    """
    _, _, _, region, account, _ = topic.split(":", 5)
    found = ministack("services.sns")._topics.get_scoped(account, region, topic) or {}
    key = (found.get("attributes") or {}).get("KmsMasterKeyId")
    if not key:
        return None
    with ministack("core.responses").request_scope(account, region):
        policy, _ = ministack("services.kms").key_policy_for_arn(key) or ("{}", "")
    arn = key if key.startswith("arn:") else f"arn:aws:kms:{region}:{account}:{key if '/' in key else f'key/{key}'}"
    refusals = (decisions.of_service(policy, service, action, arn, source) for action in PUBLISH_ENCRYPTED)
    return next(filter(None, refusals), None)


def _mend_topics(decisions: Decisions) -> None:
    """Have SNS call functions that let the topic in, and alarms and SES publish where the topic's policy lets them."""
    sns, alarms, ses = ministack("services.sns"), ministack("services.cloudwatch"), ministack("services.ses")
    deliver, dispatch, publish = sns._deliver_to_lambda, alarms._dispatch_alarm_actions, ses._publish_notification

    def deliver_to_lambda(endpoint: str, envelope: str, topic: str, *rest: object) -> None:
        if refusal := refusal_by_policy(decisions, "sns.amazonaws.com", endpoint, topic):
            _log.warning("SNS: %s is not called: %s", endpoint, refusal)
        else:
            deliver(endpoint, envelope, topic, *rest)

    def dispatch_alarm_actions(alarm: Json, *rest: object) -> None:
        allowed = {}
        for actions in ("AlarmActions", "OKActions", "InsufficientDataActions"):
            topics = alarm.get(actions) or []
            refusals = [
                refusal_by_policy(decisions, "cloudwatch.amazonaws.com", topic, str(alarm["AlarmArn"]))
                for topic in topics
            ]
            allowed[actions] = [topic for topic, refusal in zip(topics, refusals, strict=True) if not refusal]
        dispatch({**alarm, **allowed}, *rest)

    def publish_notification(topic: str, event: Json) -> None:
        source = _configuration_set(event)
        if refusal := refusal_by_policy(decisions, "ses.amazonaws.com", topic, source):
            _log.warning("SES: nothing is published to %s: %s", topic, refusal)
        else:
            publish(topic, event)

    sns._deliver_to_lambda, alarms._dispatch_alarm_actions = deliver_to_lambda, dispatch_alarm_actions
    ses._publish_notification = publish_notification


def _configuration_set(event: Json) -> str:
    """The ARN of the configuration set that a mail's event comes from."""
    responses = ministack("core.responses")
    (name, *_) = (event.get("mail") or {}).get("tags", {}).get("ses:configuration-set", [""])
    return f"arn:aws:ses:{responses.get_region()}:{responses.get_account_id()}:configuration-set/{name}"


def _mend_api(decisions: Decisions) -> None:
    """Have an HTTP API call a function only where the function's policy lets that route in."""
    api = ministack("services.apigateway")
    responses, invoke = ministack("core.responses"), api._invoke_lambda_proxy

    async def invoke_proxy(
        integration: Json, identity: str, stage: str, path: str, method: str, *rest: object, **named: object
    ) -> Any:  # noqa: ANN401 - ministack's response
        function = api._extract_lambda_ref_from_integration_uri(integration.get("integrationUri", ""))
        place = f"{responses.get_region()}:{responses.get_account_id()}"
        source = f"arn:aws:execute-api:{place}:{identity}/{stage}/{method}{path}"
        if refusal := refusal_by_policy(decisions, "apigateway.amazonaws.com", function, source):
            _log.warning("API Gateway: %s", refusal)
            return 500, {"Content-Type": "application/json"}, b'{"message":"Internal Server Error"}'
        return await invoke(integration, identity, stage, path, method, *rest, **named)

    api._invoke_lambda_proxy = invoke_proxy


def _mend_state_machines(decisions: Decisions) -> None:
    """Have a state machine call functions with its role."""
    machines = ministack("services.stepfunctions")
    run, call = machines._run_execution, machines._call_lambda

    def run_execution(execution: str) -> None:
        machine = (machines._executions.get(execution) or {}).get("stateMachineArn")
        _machine_role.set((machines._state_machines.get(machine) or {}).get("roleArn", ""))
        run(execution)

    def call_lambda(function: str, event: object) -> Any:  # noqa: ANN401 - ministack's
        if refusal := decisions.of_role(
            _machine_role.get(), "states.amazonaws.com", "states", "lambda:InvokeFunction", function
        ):
            raise machines._ExecutionError("Lambda.AWSLambdaException", refusal)
        return call(function, event)

    machines._run_execution, machines._call_lambda = run_execution, call_lambda


def _mend_event_sources(decisions: Decisions) -> None:
    """Have Lambda refuse to read a queue for a function whose role may not."""
    handlers = ministack("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    handler, functions = handlers["AWS::Lambda::EventSourceMapping"], ministack("services.lambda_svc")

    def create(logical_id: str, properties: Json, *rest: object) -> Any:  # noqa: ANN401 - ministack's
        queue = str(properties.get("EventSourceArn", ""))
        if ":sqs:" in queue:
            function = functions._get_func_record_for_ref(properties["FunctionName"])[1]
            for operation, action in POLL.items():
                if decisions.of_role(function["Role"], LAMBDA, function["FunctionName"], action, queue):
                    raise ValueError(
                        f"The function execution role does not have permissions to call {operation} on SQS"
                    )
        return handler["create"](logical_id, properties, *rest)

    handlers["AWS::Lambda::EventSourceMapping"] = {**handler, "create": create}


def _mend_destinations(decisions: Decisions) -> None:
    """Have what failed go to a function's destination with the function's role."""
    functions = ministack("services.lambda_svc")
    route = functions._route_async_failure

    def route_failure(target: str, function: str, event: object, result: object) -> None:
        record = functions._functions.get(function) or {}
        role = str((record.get("config") or {}).get("Role", ""))
        action = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}.get(target.split(":")[2], "lambda:InvokeFunction")
        with suppress(ValueError):
            if refusal := decisions.of_role(role, LAMBDA, function, action, target):
                _log.warning("Lambda: what failed in %s is lost: %s", function, refusal)
                return
        route(target, function, event, result)

    functions._route_async_failure = route_failure
