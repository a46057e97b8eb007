"""Alarms of every function, in whatever stack it is: what its error means is said by stack and construct."""

from aws_cdk import CfnResource, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.observability.alarms.making import FIVE_MINUTES, TWICE_OF_THREE, Alarms, together

# What an error of a function, or of the functions of a construct, means and what to do first: by stack and construct.
# Each construct of which nothing is said here only runs while something is deployed.
_FUNCTIONS = {
    "GatewayMigration": (
        "The database migration failed, and with it the deployment. The service stays as it was.",
        "Read the reason in the gateway stack's events, which name the log stream.",
    ),
    "GatewaySleep": (
        "The gateway was not woken, or did not fall asleep: callers are told that it sleeps, or it costs what it does "
        "by day.",
        "Read the function's log, and ECS's events of the service; make wake and make sleep do it once more.",
    ),
    "OnboardingReceiver": ("Slack got no answer, and someone saw an error.", "Read the function's log."),
    "OnboardingWorker": (
        "The worker ended without saying which request failed. The queue gives it the request again.",
        "Read the function's log; the dead letters have what failed each time.",
    ),
    "OnboardingSweep": (
        "Who has left may still have an account: the daily sweep did not end.",
        "Read the function's log and start it once more.",
    ),
    "OnboardingBounces": (
        "A mail did not arrive, and nobody was told.",
        "Read the function's log; the queue Undelivered has the event.",
    ),
    "SmokeTest": (
        "The smoke test of a release ended without an answer, which counts as failed.",
        "Read the function's log, and run it once more (make smoke).",
    ),
    "UsageReport": ("A report of usage was not posted.", "Read the function's log and start it once more."),
    "UsageBill": ("The month's bill was not compared.", "Read the function's log and start it once more."),
}
_WHILE_DEPLOYED = (
    "A function that only runs while something is deployed ended with an error, and so did the deployment.",
    "Read the reason in the stack's events and deploy again.",
)
# By the type of a resource: namespace and name of the metric that counts its errors, and the dimension that names it.
_ERRORS = {
    "AWS::Lambda::Function": ("AWS/Lambda", "Errors", "FunctionName"),
    "AWS::StepFunctions::StateMachine": ("AWS/States", "ExecutionsFailed", "StateMachineArn"),
}
# Which resources may be of these types, by their class: of the CDK's plain ones alone, its other process is asked more.
_OF_THESE = (lambda_.CfnFunction, sfn.CfnStateMachine)
# The CDK's provider framework throws in these two until what it waits for is done: an error of theirs is no error.
# Its state machine tries them again, and fails when they fail in the end.
_WAITING = frozenset({"framework-isComplete", "framework-onTimeout"})
_CDKS_OWN = {"Custom::VpcRestrictDefaultSGCustomResourceProvider": "DefaultSecurityGroup"}


def functions(alarms: Alarms, stage: Construct) -> None:
    """Errors of every function of the stage, one alarm for each construct that has some, and throttles of all."""
    for group, metrics in _errors(stage).items():
        means, do = _FUNCTIONS.get(group, _WHILE_DEPLOYED)
        alarms.make(
            f"{group}Errors",
            together(metrics),
            1,
            means=means,
            why="One is too many: what can be expected to fail is answered, and is no error of the function.",
            do=do,
        )
    alarms.make(
        "Throttles",
        cloudwatch.Metric(namespace="AWS/Lambda", metric_name="Throttles", statistic="Sum", period=FIVE_MINUTES),
        1,
        means="Lambda turned invocations away: the account's limit of functions at once is reached, which all its "
        "functions share.",
        why="One, twice of three times: a single one is tried again; none of ours has a limit of its own.",
        do="See which function runs so often; ask AWS for a higher limit (a new account has ten).",
        of=TWICE_OF_THREE,
    )


def _errors(stage: Construct) -> dict[str, list[cloudwatch.Metric]]:
    """The errors of all functions, and of the state machines that wait for some, by stack and construct."""
    found: dict[str, list[cloudwatch.Metric]] = {}
    for stack in stage.node.children:
        if not isinstance(stack, Stack):
            continue
        node = stack.node
        stack_id, path = node.id, node.path
        for each in node.find_all():
            if not isinstance(each, _OF_THESE) and type(each) is not CfnResource:
                continue
            if (kind := each.cfn_resource_type) not in _ERRORS:
                continue
            place, *parts = each.node.path.removeprefix(f"{path}/").split("/")
            if _WAITING.isdisjoint((place, *parts)):
                found.setdefault(f"{stack_id}{_CDKS_OWN.get(place, place)}", []).append(_errors_of(kind, each.ref))
    return found


def _errors_of(kind: str, value: str) -> cloudwatch.Metric:
    namespace, name, dimension = _ERRORS[kind]
    return cloudwatch.Metric(
        namespace=namespace,
        metric_name=name,
        dimensions_map={dimension: value},
        statistic="Sum",
        period=FIVE_MINUTES,
    )
