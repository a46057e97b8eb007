"""The emulated CloudFormation: what a stack looks up of others, what becomes of it when that is replaced, and whether
what it deploys reaches a topic.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from botocore.exceptions import ClientError

from local.aws import REGION, Emulator
from local.cloudformation import LOOKUPS
from local.ports import free_ports
from stacks import CHECKOUT
from stacks.company import environments
from stacks.constructs.listeners import let_events_publish, let_publish, topic_of
from stacks.observability.watched import Watched
from tests.unit.local.test_emulator import OWN, aws

DEV = environments()["dev"]
NAME = "/litellm/dev/watched/producer/Queue/QueueName"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(port=free_ports(1)[0], state=tmp_path_factory.mktemp("emulator"))
    emulator.start()
    yield emulator
    emulator.stop()


def _synthesized(folder: Path, queue: str) -> Path:
    """A stack with a queue, of this logical id, and one whose alarm watches it."""
    app = cdk.App(outdir=str(folder))
    place = cdk.Environment(account=OWN, region=REGION)
    producer, consumer = (
        cdk.Stack(app, name, env=place, synthesizer=cdk.BootstraplessSynthesizer()) for name in ("Producer", "Consumer")
    )
    watched = sqs.Queue(producer, "Queue")
    resource = watched.node.default_child
    assert isinstance(resource, sqs.CfnQueue)
    resource.override_logical_id(queue)
    metric = watched.metric_approximate_number_of_messages_visible()
    cloudwatch.Alarm(
        consumer,
        "Alarm",
        metric=Watched(consumer, environment=DEV).metric(metric),
        threshold=1,
        evaluation_periods=1,
    )
    app.synth()
    return folder


def _deploy(emulator: Emulator, folder: Path) -> str:
    """Deploy both stacks as a release is, and return what the CDK CLI prints."""
    run = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("node")), str(CHECKOUT / "node_modules" / "aws-cdk" / "bin" / "cdk")),
            *("deploy", "--all", "--app", str(folder), "--require-approval", "never", "--progress", "events"),
            *("--no-notices", "--no-color"),
        ],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **emulator.environment(OWN)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


def _watched(emulator: Emulator) -> str:
    """The queue that the alarm watches."""
    (alarm,) = aws(emulator, "cloudwatch").describe_alarms()["MetricAlarms"]
    (dimension,) = alarm["Dimensions"]
    return str(dimension["Value"])


def _queue(emulator: Emulator) -> str:
    (url,) = aws(emulator, "sqs").list_queues(QueueNamePrefix="Producer")["QueueUrls"]
    return str(url).rpartition("/")[2]


def _parameters(emulator: Emulator, stack: str) -> dict[str, str]:
    (found,) = aws(emulator, "cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}


def test_what_is_replaced_is_watched_again_after_the_next_deployment(emulator: Emulator, tmp_path: Path) -> None:
    """Though the template of what watches it is the same, to the letter."""
    before = _synthesized(tmp_path / "before", "First")
    after = _synthesized(tmp_path / "after", "Second")
    assert (before / "Consumer.template.json").read_text() == (after / "Consumer.template.json").read_text()
    assert (before / "Producer.template.json").read_text() != (after / "Producer.template.json").read_text()
    _deploy(emulator, before)
    first = _queue(emulator)
    assert _watched(emulator) == first
    _deploy(emulator, after)
    second = _queue(emulator)
    assert second != first
    assert _watched(emulator) == second
    # As AWS tells it: whoever puts the stack back gives the name again, not what was found.
    assert _parameters(emulator, "Consumer") == {"WatchedProducerQueueQueueName": NAME}
    _deploy(emulator, after)  # and where nothing was replaced, nothing changes
    assert _watched(emulator) == second


WAIT = {"Type": "AWS::CloudFormation::WaitConditionHandle"}


@pytest.mark.parametrize("number", [LOOKUPS, LOOKUPS + 1])
def test_outputs_of_other_stacks_are_looked_up_a_few_times_only(emulator: Emulator, number: int) -> None:
    cloudformation = aws(emulator, "cloudformation")
    output = {"Fn::GetStackOutput": {"StackName": "has-an-output", "OutputName": "Word"}}
    word = {"Type": "AWS::SSM::Parameter", "Properties": {"Name": f"/word/{number}", "Type": "String", "Value": "word"}}
    more = {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::Join": ["", [output]]}}}
    if number == LOOKUPS:
        _create(cloudformation, "has-an-output", {"Resources": {"Word": word}, "Outputs": {"Word": {"Value": "word"}}})
        _create(cloudformation, "few", {"Resources": {f"More{each}": more for each in range(number)}})
    else:
        with pytest.raises(ClientError, match="Throttling: Rate exceeded"):
            _create(cloudformation, "many", {"Resources": {f"More{each}": more for each in range(number)}})


@pytest.mark.parametrize(
    ("template", "refusal"),
    [
        ({"Resources": {f"Wait{each}": WAIT for each in range(501)}}, "Number of resources, 501, is greater"),
        ({"Resources": {"Wait": WAIT}, "Outputs": {f"O{each}": {"Value": "x"} for each in range(201)}}, "outputs, 201"),
        ({"Resources": {"Wait": WAIT}, "Metadata": {"Long": "x" * 51_200}}, "less than or equal to 51200"),
    ],
)
def test_a_template_has_its_limits(emulator: Emulator, template: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ClientError, match=refusal):
        _create(aws(emulator, "cloudformation"), "large", template)


@pytest.mark.parametrize("lets_in", [True, False])
def test_a_rule_tells_a_topic_that_lets_it_publish_without_a_condition(emulator: Emulator, lets_in: bool) -> None:
    name = f"lets-in-{lets_in}".lower()
    stack = cdk.Stack(cdk.App(), name, synthesizer=cdk.BootstraplessSynthesizer())
    topic = topic_of(stack, DEV.alarms, display_name="Alarms")
    if lets_in:
        let_events_publish(topic, "Events")
    else:
        let_publish(topic, "Events", "events.amazonaws.com")  # on behalf of this account only
    heard = sqs.Queue(stack, "Heard")
    topic.add_subscription(subscriptions.SqsSubscription(heard))
    target = events.CfnRule.TargetProperty(arn=topic.topic_arn, id="Topic")
    rule = events.CfnRule(stack, "Rule", event_pattern={"source": [name]}, targets=[target])
    cdk.CfnOutput(stack, "Url", value=heard.queue_url)
    cdk.CfnOutput(stack, "Name", value=rule.ref)
    cloudformation = aws(emulator, "cloudformation")
    _create(cloudformation, name, assertions.Template.from_stack(stack).to_json())
    (created,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    given = {output["OutputKey"]: output["OutputValue"] for output in created["Outputs"]}
    entry = {"Source": name, "DetailType": "Told", "Detail": json.dumps({"word": "told"})}
    assert aws(emulator, "events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    messages = aws(emulator, "sqs").receive_message(QueueUrl=given["Url"], WaitTimeSeconds=1).get("Messages", [])
    assert [json.loads(json.loads(each["Body"])["Message"])["detail"] for each in messages] == (
        [{"word": "told"}] if lets_in else []
    )
    figures = aws(emulator, "cloudwatch").list_metrics(Namespace="AWS/Events")["Metrics"]
    assert (given["Name"] in {figure["Dimensions"][0]["Value"] for figure in figures}) is not lets_in


def _create(cloudformation: Any, name: str, template: Mapping[str, Any]) -> None:  # noqa: ANN401 - boto3's
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300}
    )
