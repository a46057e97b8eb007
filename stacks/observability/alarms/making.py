"""How an alarm is made, with what each says and whom it tells."""

from collections.abc import Iterable, Sequence

from aws_cdk import Duration
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.observability.watched import Watched

NAMESPACE = "LiteLlmGateway"  # of our own metrics
FIVE_MINUTES = Duration.minutes(5)
ONCE, TWICE_OF_THREE, FIFTEEN_MINUTES, HALF_AN_HOUR = (1, 1), (2, 3), (3, 3), (6, 6)  # of five minutes each

CERTIFICATE_DAYS = 30
LOGGED_ERRORS = 10


class Alarms:
    """Makes the alarms in `scope`, of metrics of any stack. Each tells `topic`, when it is over too.

    `made` are all so far.
    """

    def __init__(self, scope: Construct, *, topic: sns.ITopic, watched: Watched) -> None:
        self.scope = scope
        self._watched = watched
        self._action = actions.SnsAction(topic)
        self.made: list[cloudwatch.Alarm] = []

    def log(self, construct_id: str, metric: cloudwatch.Metric, *, means: str, do: str) -> None:
        """Lines of a log that should not be there."""
        self.make(
            construct_id,
            metric,
            LOGGED_ERRORS,
            means=means,
            why="10 lines in five minutes, twice of three times: what is over by itself writes a few.",
            do=do,
            of=TWICE_OF_THREE,
        )

    def waiting_message(self, construct_id: str, queue: sqs.IQueue, means: str) -> None:
        """A queue of what failed, which nobody empties by itself."""
        self.make(
            construct_id,
            queue.metric_approximate_number_of_messages_visible(statistic="Maximum", period=FIVE_MINUTES),
            1,
            means=f"{means} It waits for someone.",
            why="One is too many: nothing comes here by itself.",
            do="Read it, mend what it says, and send it on; it is kept for 14 days.",
        )

    def certificate(self, construct_id: str, certificate: acm.ICertificate) -> None:
        """A certificate that expires soon, from whichever stack."""
        self.make(
            construct_id,
            certificate.metric_days_to_expiry(),
            CERTIFICATE_DAYS,
            means="The certificate was not renewed: when it expires, every caller is refused.",
            why="30 days: ACM renews its own 45 days or more before, an imported one never. No figure changes nothing, "
            "since there is none of an expired certificate.",
            do="See in ACM why: the validation's DNS record must be there. Import a new one where it was imported.",
            below=True,
            missing=cloudwatch.TreatMissingData.IGNORE,
        )

    def make(
        self,
        construct_id: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        *,
        means: str,
        why: str,
        do: str,
        of: tuple[int, int] = ONCE,
        below: bool = False,
        above: bool = False,
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        """An alarm at or above a threshold (or below, or strictly above), in so many of so many periods.

        No figure is no trouble, as there is none where nothing was asked for, unless `missing` says otherwise.
        """
        operator = cloudwatch.ComparisonOperator
        datapoints, periods = of
        alarm = cloudwatch.Alarm(
            self.scope,
            construct_id,
            alarm_description=describe(means, why, do),
            metric=self._watched.metric(metric),
            threshold=threshold,
            evaluation_periods=periods,
            datapoints_to_alarm=datapoints,
            comparison_operator=operator.LESS_THAN_THRESHOLD
            if below
            else operator.GREATER_THAN_THRESHOLD
            if above
            else operator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._action)
        alarm.add_ok_action(self._action)
        self.made.append(alarm)


def describe(means: str, why: str, do: str) -> str:
    """An alarm's description, of which `docs/alarms.md` has the parts in columns."""
    return f"{means} Threshold: {why} First: {do}"


def formula(
    expression: str, metrics: dict[str, cloudwatch.Metric], label: str, *, period: Duration = FIVE_MINUTES
) -> cloudwatch.MathExpression:
    """A formula of those of the metrics that it names."""
    used: dict[str, cloudwatch.IMetric] = {name: metric for name, metric in metrics.items() if name in expression}
    return cloudwatch.MathExpression(expression=expression, using_metrics=used, label=label, period=period)


def together(metrics: Iterable[cloudwatch.Metric]) -> cloudwatch.IMetric:
    """The metrics together; where one has no figure it counts as zero."""
    found: Sequence[cloudwatch.Metric] = tuple(metrics)
    if len(found) == 1:
        return found[0]
    named = {f"m{number}": metric for number, metric in enumerate(found)}
    return formula(" + ".join(f"FILL({name}, 0)" for name in named), named, "together")
