"""Alarms of accounts from Slack, and of the mail that they need."""

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from stacks.observability.alarms.making import FIVE_MINUTES, Alarms
from stacks.onboarding import OnboardingStack

# Where AWS puts a sender under review; it stops one at twice the bounces and five times the complaints.
# https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-bounce-rate.html
BOUNCE_RATE, COMPLAINT_RATE = 0.05, 0.001
RECEIVER_MS = 2500


def onboarding(alarms: Alarms, onboarding: OnboardingStack) -> None:
    """Requests from Slack that fail, wait or are slow."""
    alarms.waiting_message("DeadLetters", onboarding.dead_letters, "A person's request failed whenever it was tried.")
    alarms.waiting_message(
        "Undelivered", onboarding.undelivered, "The sweep did not run, or an event of a mail was not told."
    )
    alarms.make(
        "OldestRequest",
        onboarding.requests.metric_approximate_age_of_oldest_message(statistic="Maximum", period=FIVE_MINUTES),
        Duration.minutes(30).to_seconds(),
        means="A person's request waits, where people were promised minutes.",
        why="Half an hour: a deployment of LiteLLM, for which requests wait, takes ten minutes.",
        do="See whether LiteLLM answers, then read the worker's log.",
    )
    alarms.make(
        "ReceiverDuration",
        onboarding.receiver.metric_duration(statistic="p90", period=FIVE_MINUTES),
        RECEIVER_MS,
        means="Slack soon shows people an error, since the answer takes too long.",
        why="2,500 ms, twice: Slack gives up after 3,000, of which the way there takes some; one cold start is no "
        "slowness.",
        do="Look at Slack's own status and at the function's log; more memory makes it faster.",
        of=(2, 2),
    )
    alarms.certificate("SlackCertificate", onboarding.certificate)


def mail(alarms: Alarms) -> None:
    """What puts the account's right to send mail at risk: SES gives both rates for the account as a whole."""
    for construct_id, name, rate, what, stops in (
        ("BounceRate", "Reputation.BounceRate", BOUNCE_RATE, "bounce", "10 %"),
        ("ComplaintRate", "Reputation.ComplaintRate", COMPLAINT_RATE, "are complained of", "0.5 %"),
    ):
        alarms.make(
            construct_id,
            cloudwatch.Metric(namespace="AWS/SES", metric_name=name, statistic="Maximum", period=Duration.hours(1)),
            rate,
            means=f"Too many mails of the account {what}: AWS may stop it from sending any.",
            why=f"{rate:.1%}, at which AWS reviews a sender; it stops one at {stops}.",
            do="See the audit channel for the addresses, and close the accounts of those that do not exist.",
        )
