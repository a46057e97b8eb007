"""Telling people: a topic with its mail addresses, and a channel of Slack by Amazon Q Developer."""

from collections.abc import Mapping
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_chatbot as chatbot
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.settings import Listeners


def topic_of(scope: Construct, listeners: Listeners, *, display_name: str) -> sns.Topic:
    """The topic that the listeners' mail addresses hear, as `Topic` in `scope`. Nobody may publish to it yet.

    It is not encrypted with AWS's key for SNS, through which AWS's own services cannot publish; its messages are names
    and figures.
    """
    topic = sns.Topic(scope, "Topic", display_name=display_name, enforce_ssl=True)
    for address in listeners.emails:
        topic.add_subscription(subscriptions.EmailSubscription(address))
    return topic


def let_publish(topic: sns.Topic, sid: str, service: str, conditions: Mapping[str, Any] | None = None) -> None:
    """Let a service of AWS publish, on behalf of this account only. For EventBridge see `let_events_publish`."""
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            sid=sid,
            principals=[iam.ServicePrincipal(service)],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={"StringEquals": {"aws:SourceAccount": Stack.of(topic).account}} | dict(conditions or {}),
        )
    )


def let_events_publish(topic: sns.Topic, sid: str) -> None:
    """Let rules of EventBridge publish, which no condition can narrow down.

    "You can't use Condition blocks in Amazon SNS topic policies for EventBridge" (Amazon SNS permissions, in "Using
    resource-based policies for Amazon EventBridge"): what a condition asks for is not in its requests, so SNS would
    refuse every message, and only the rule's figure FailedInvocations would tell. A role of the target's instead is
    advised against on the same page. So it is this topic alone, and this action alone: whoever knows the topic's name,
    which has a random part, could have a rule of theirs send something to its listeners, and read nothing.
    """
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            sid=sid,
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
        )
    )


def post_in_slack(
    scope: Construct,
    listeners: Listeners,
    *,
    topic: sns.ITopic,
    name: str,
    subject: str,
    shows: str,
    may_look: iam.PolicyStatement,
    findings: Mapping[str, str] | None = None,
) -> None:
    """Post what the topic is told in the listeners' channel, where they have one, as `Slack` in `scope`.

    The channel's members may do from there what `may_look` permits, and nothing else; `findings` are reasons for what
    cdk-nag finds in it, by rule. `name` is the configuration's, one of its kind in the account; `subject` is what the
    channel is of, and `shows` what can be looked at there, for descriptions.

    Somebody lets Amazon Q Developer in chat applications into the workspace once, in its console: no template can.
    """
    if not (listeners.workspace and listeners.channel):
        return
    policy = iam.ManagedPolicy(
        scope,
        "SlackMayLook",
        description=f"What Amazon Q Developer may do for the channel of {subject}: {shows}",
        statements=[may_look],
    )
    Validations.of(policy).acknowledge(
        *(Acknowledgment(id=rule, reason=reason) for rule, reason in (findings or {}).items())
    )
    chatbot.SlackChannelConfiguration(
        scope,
        "Slack",
        slack_channel_configuration_name=name,
        slack_workspace_id=listeners.workspace,
        slack_channel_id=listeners.channel,
        notification_topics=[topic],
        logging_level=chatbot.LoggingLevel.ERROR,
        # Without guardrails they would be AdministratorAccess.
        guardrail_policies=[policy],
        role=iam.Role(
            scope,
            "SlackRole",
            assumed_by=iam.ServicePrincipal("chatbot.amazonaws.com"),
            description=f"Amazon Q Developer, for the channel of {subject}",
            managed_policies=[policy],
        ),
        user_role_required=False,
    )
