"""What is watched in other stacks, by names that are known only once it is deployed: how they come here.

Each value is written to Parameter Store by the stack that has it, and is a parameter of this stack's template, of the
type AWS::SSM::Parameter::Value<String>. CloudFormation looks it up once for each operation on this stack, however often
it is used, and anew for each ("Systems Manager parameter types" in its user guide); the CDK CLI deploys a stack with
such parameters even if its template is what it was. So whatever is replaced is watched again after the next deployment,
and nothing is kept from being replaced or removed. docs/decisions/0035-watched-by-parameters.md has the other ways.
"""

import re
from collections.abc import Iterator

from aws_cdk import CfnParameter, Reference, Stack, Token, Tokenization
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from aws_cdk import aws_ssm as ssm
from constructs import Construct, IConstruct

from stacks.settings import Environment

AT_ONCE = 3
"""The parameters that one stack writes at the same time: Parameter Store takes so many PutParameter a second, of all
that an account has in a region (github-aws-runners/terraform-aws-github-runner#2944 has it from AWS's support)."""
LOOKED_UP = "AWS::SSM::Parameter::Value<String>"
FOLDER = "watched"  # below the environment's place in Parameter Store


class Watched:
    """Hands out values of other stacks for use in `stack`, which is then deployed after those."""

    def __init__(self, stack: Stack, *, environment: Environment) -> None:
        self._stack = stack
        self._environment = environment
        self._imported = Construct(stack, "Watched")
        self._values: dict[str, str] = {}  # what is used here, by what it is in its own stack
        self._read: dict[str, str] = {}  # the same, by the name in Parameter Store
        self._log_groups: dict[str, logs.ILogGroup] = {}
        # By the stack's path: where its parameters are in it, and which there are.
        self._written: dict[str, tuple[Construct, list[ssm.StringParameter]]] = {}

    def value(self, value: str) -> str:
        """A reference to another stack's resource as one that `stack` may use; any other text as it is."""
        if not Token.is_unresolved(value) or value in self._values:
            return self._values.get(value, value)
        token = Tokenization.reverse_string(value).first_token
        if not isinstance(token, Reference) or Stack.of(token.target) == self._stack:
            return value
        return self.publish(token.target, "" if token.display_name == "Ref" else token.display_name, value)

    def publish(self, construct: IConstruct, attribute: str, value: str) -> str:
        """Have another stack write what is of a construct in it, and return it for use in `stack`.

        `value` does so for a plain reference. What is none, as a part of one, is published first; `value` has it then.
        """
        producer = Stack.of(construct)
        parts = [*_path(construct, producer), *([attribute] if attribute else [])]
        name = self._environment.parameter("/".join((FOLDER, producer.node.id.lower(), *parts)))
        if name not in self._read:  # the CDK has more than one text for the same reference
            self._write(producer, _id(*parts), name, value)
            self._read[name] = CfnParameter(
                self._stack, _id("Watched", producer.node.id, *parts), type=LOOKED_UP, default=name
            ).value_as_string
        self._values[value] = self._read[name]
        return self._values[value]

    def _write(self, producer: Stack, construct_id: str, name: str, value: str) -> None:
        self._stack.add_stack_dependency(producer)
        if producer.node.path not in self._written:
            self._written[producer.node.path] = (Construct(producer, "Watched"), [])
        scope, written = self._written[producer.node.path]
        parameter = ssm.StringParameter(
            scope,
            construct_id,
            parameter_name=name,
            string_value=value,
            description=f"What {self._stack.stack_name} watches",
        )
        if len(written) >= AT_ONCE:
            parameter.node.add_dependency(written[-AT_ONCE])
        written.append(parameter)

    def metric(self, metric: cloudwatch.IMetric) -> cloudwatch.IMetric:
        """The metric, or the formula of metrics, with dimensions that `stack` may use."""
        if isinstance(metric, cloudwatch.MathExpression):
            return cloudwatch.MathExpression(
                expression=metric.expression,
                using_metrics={name: self.metric(each) for name, each in metric.using_metrics.items()},
                label=metric.label,
                period=metric.period,
            )
        if isinstance(metric, cloudwatch.Metric) and metric.dimensions:
            return metric.with_(
                dimensions_map={name: self.value(str(each)) for name, each in metric.dimensions.items()}
            )
        return metric

    def log_group(self, log_group: logs.ILogGroup) -> logs.ILogGroup:
        """The log group by a name that `stack` may use."""
        found = self._log_groups.get(log_group.node.path)
        if found is None:
            producer = Stack.of(log_group)
            construct_id = _id(producer.node.id, *_path(log_group, producer))
            name = self.value(log_group.log_group_name)
            found = logs.LogGroup.from_log_group_name(self._imported, construct_id, name)
            self._log_groups[log_group.node.path] = found
        return found


def _path(construct: IConstruct, stack: Stack) -> Iterator[str]:
    """The construct's place in its stack, as a logical id has it."""
    for part in construct.node.path.removeprefix(f"{stack.node.path}/").split("/"):
        if part not in ("Default", "Resource"):
            yield re.sub(r"[^A-Za-z0-9_.-]+", "-", part)


def _id(*parts: str) -> str:
    """The parts as one construct's id, and logical id."""
    return "".join(re.sub(r"[^A-Za-z0-9]", "", part[:1].upper() + part[1:]) for part in parts)
