"""What is watched in other stacks, by names that are known only once it is deployed: how they come here.

Each value is written to Parameter Store by the stack that has it, and is a parameter of this stack's template, of the
type AWS::SSM::Parameter::Value<String>. CloudFormation looks it up once for each operation on this stack, however often
it is used, and anew for each ("Systems Manager parameter types" in its user guide); the CDK CLI deploys a stack with
such parameters even if its template is what it was. So whatever is replaced is watched again after the next deployment,
and nothing is kept from being replaced or removed. docs/decisions/0035-watched-by-parameters.md has the other ways.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

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


@dataclass
class _Producer:
    """A stack whose values are watched, and the parameters that it writes, which are all in `scope`."""

    stack: Stack
    id: str
    path: str
    scope: Construct | None = None
    written: list[ssm.StringParameter] = field(default_factory=list)

    def place_of(self, construct: IConstruct) -> Iterator[str]:
        """The construct's place in the stack, as a logical id has it."""
        for part in construct.node.path.removeprefix(f"{self.path}/").split("/"):
            if part not in ("Default", "Resource"):
                yield re.sub(r"[^A-Za-z0-9_.-]+", "-", part)


class Watched:
    """Hands out values of other stacks for use in `stack`, which is then deployed after those.

    Nothing is asked twice of the CDK, whose every answer comes from another process.
    """

    def __init__(self, stack: Stack, *, environment: Environment) -> None:
        self._stack = stack
        self._stack_name = stack.stack_name
        self._environment = environment
        self._imported = Construct(stack, "Watched")
        self._values: dict[str, str] = {}  # what is used here, by what it is in its own stack
        self._read: dict[str, str] = {}  # the same, by the name in Parameter Store
        self._log_groups: dict[str, logs.ILogGroup] = {}
        self._producers: dict[Stack, _Producer] = {}

    def value(self, value: str) -> str:
        """A reference to another stack's resource as one that `stack` may use; any other text as it is."""
        if value not in self._values:
            self._values[value] = self._used_here(value)
        return self._values[value]

    def _used_here(self, value: str) -> str:
        if not Token.is_unresolved(value):
            return value
        token = Tokenization.reverse_string(value).first_token
        if not isinstance(token, Reference):
            return value
        target = token.target
        producer = self._producer_of(target)
        if producer.stack == self._stack:
            return value
        attribute = token.display_name
        return self._published(producer, target, "" if attribute == "Ref" else attribute, value)

    def publish(self, construct: IConstruct, attribute: str, value: str) -> str:
        """Have another stack write what is of a construct in it, and return it for use in `stack`.

        `value` does so for a plain reference. What is none, as a part of one, is published first; `value` has it then.
        """
        self._values[value] = self._published(self._producer_of(construct), construct, attribute, value)
        return self._values[value]

    def _published(self, producer: _Producer, construct: IConstruct, attribute: str, value: str) -> str:
        parts = [*producer.place_of(construct), *([attribute] if attribute else [])]
        name = self._environment.parameter("/".join((FOLDER, producer.id.lower(), *parts)))
        if name not in self._read:  # the CDK has more than one text for the same reference
            self._write(producer, _id(*parts), name, value)
            self._read[name] = CfnParameter(
                self._stack, _id("Watched", producer.id, *parts), type=LOOKED_UP, default=name
            ).value_as_string
        return self._read[name]

    def _producer_of(self, construct: IConstruct) -> _Producer:
        stack = Stack.of(construct)
        if stack not in self._producers:
            node = stack.node
            self._producers[stack] = _Producer(stack, node.id, node.path)
        return self._producers[stack]

    def _write(self, producer: _Producer, construct_id: str, name: str, value: str) -> None:
        if producer.scope is None:
            self._stack.add_stack_dependency(producer.stack)
            producer.scope = Construct(producer.stack, "Watched")
        parameter = ssm.StringParameter(
            producer.scope,
            construct_id,
            parameter_name=name,
            string_value=value,
            description=f"What {self._stack_name} watches",
        )
        if len(producer.written) >= AT_ONCE:
            parameter.node.add_dependency(producer.written[-AT_ONCE])
        producer.written.append(parameter)

    def metric(self, metric: cloudwatch.IMetric) -> cloudwatch.IMetric:
        """The metric, or the formula of metrics, with dimensions that `stack` may use."""
        if isinstance(metric, cloudwatch.MathExpression):
            return cloudwatch.MathExpression(
                expression=metric.expression,
                using_metrics={name: self.metric(each) for name, each in metric.using_metrics.items()},
                label=metric.label,
                period=metric.period,
            )
        if isinstance(metric, cloudwatch.Metric) and (dimensions := metric.dimensions):
            return metric.with_(dimensions_map={name: self.value(str(each)) for name, each in dimensions.items()})
        return metric

    def log_group(self, log_group: logs.ILogGroup) -> logs.ILogGroup:
        """The log group by a name that `stack` may use."""
        path = log_group.node.path
        if path not in self._log_groups:
            producer = self._producer_of(log_group)
            construct_id = _id(producer.id, *producer.place_of(log_group))
            name = self.value(log_group.log_group_name)
            self._log_groups[path] = logs.LogGroup.from_log_group_name(self._imported, construct_id, name)
        return self._log_groups[path]


def _id(*parts: str) -> str:
    """The parts as one construct's id, and logical id."""
    return "".join(re.sub(r"[^A-Za-z0-9]", "", part[:1].upper() + part[1:]) for part in parts)
