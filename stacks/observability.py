"""Observability: the alarms that a person must hear of, each with its reason, and whom they go to."""

from typing import Any

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.onboarding import OnboardingStack
from stacks.settings import Environment

# Where AWS puts a sender under review; it stops one at twice the bounces and five times the complaints.
# https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-bounce-rate.html
BOUNCE_RATE = 0.05
COMPLAINT_RATE = 0.001
MINUTES = Duration.minutes(5)


class ObservabilityStack(Stack):
    """A topic for alarms, mailed to `alarms.emails`, and the alarms of mail and onboarding (without it: of mail only).

    Each alarm's description says what it means and why its threshold is where it is. They tell when they are over, too.
    The topic is not encrypted with AWS's key for SNS, through which CloudWatch cannot publish; its messages are names
    and figures.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        environment: Environment,
        onboarding: OnboardingStack | None,
        **kwargs: Any,  # noqa: ANN401 - a stack's own properties
    ) -> None:
        super().__init__(scope, construct_id, **kwargs)
        self.topic = self._topic(environment)
        self._mail()
        if onboarding:
            self._onboarding(onboarding)

    def _topic(self, environment: Environment) -> sns.Topic:
        topic = sns.Topic(self, "Alarms", display_name=f"LLM gateway {environment.name}", enforce_ssl=True)
        # A policy of its own replaces the one with which AWS lets the account's alarms publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            )
        )
        for address in environment.alarms.emails:
            topic.add_subscription(subscriptions.EmailSubscription(address))
        return topic

    def _mail(self) -> None:
        """What puts the account's right to send mail at risk: SES gives both rates for the account as a whole."""
        for construct_id, metric, rate, what in (
            ("BounceRate", "Reputation.BounceRate", BOUNCE_RATE, "bounce, and AWS stops a sender at 10 %"),
            ("ComplaintRate", "Reputation.ComplaintRate", COMPLAINT_RATE, "are complained of; AWS stops at 0.5 %"),
        ):
            self._alarm(
                construct_id,
                cloudwatch.Metric(
                    namespace="AWS/SES", metric_name=metric, statistic="Maximum", period=Duration.hours(1)
                ),
                rate,
                f"AWS reviews a sender of whom {rate:.1%} of the mails {what}: see the audit channel for the addresses",
            )

    def _onboarding(self, onboarding: OnboardingStack) -> None:
        for construct_id, queue, what in (
            ("DeadLetters", onboarding.dead_letters, "A person's request failed ten times, and waits for someone"),
            ("Undelivered", onboarding.undelivered, "The sweep did not run, or an event of a mail was not told"),
        ):
            self._alarm(
                construct_id,
                queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=MINUTES),
                1,
                f"{what}. One is too many: nothing comes here by itself. It is kept for 14 days",
            )
        self._alarm(
            "OldestRequest",
            onboarding.requests.metric_approximate_age_of_oldest_message(statistic="Maximum", period=MINUTES),
            Duration.minutes(30).to_seconds(),
            "A request has waited for half an hour, where people were promised minutes, and a deployment of LiteLLM "
            "takes ten: see whether LiteLLM answers",
        )
        for construct_id, function, what in (
            ("ReceiverErrors", onboarding.receiver, "Slack got no answer, and someone saw an error"),
            ("WorkerErrors", onboarding.worker, "The worker ended without saying which request failed"),
            ("SweepErrors", onboarding.sweep, "Who has left may still have an account"),
            ("BouncesErrors", onboarding.bounces, "A mail did not arrive, and nobody was told"),
        ):
            self._alarm(
                construct_id,
                function.metric_errors(period=MINUTES),
                1,
                f"{what}. One is too many: what can be expected to fail is answered, not an error. See its log",
            )
        self._alarm(
            "ReceiverDuration",
            onboarding.receiver.metric_duration(statistic="p90", period=MINUTES),
            2500,
            "Slack shows an error after 3,000 ms, of which the way there takes some: at 2,500 ms people will see one",
            evaluation_periods=2,  # one cold start is not slowness
        )

    def _alarm(
        self,
        construct_id: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        description: str,
        *,
        evaluation_periods: int = 1,
    ) -> None:
        """An alarm at or above a threshold; no figure is no trouble."""
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_description=f"{description}.",
            metric=metric,
            threshold=threshold,
            evaluation_periods=evaluation_periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        action = actions.SnsAction(self.topic)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
