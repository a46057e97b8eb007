"""The tables of `docs/alarms.md`: every alarm of an environment, from the templates. `make docs` writes them.

What an alarm means, why its threshold is where it is and what to do first is its description (`describe` in
stacks/observability/alarms). Here stands only under which heading an alarm is; the words around the tables are the
page's own, outside of its two marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ops.access import OpsError
from ops.templates import Facts, plain
from stacks import CHECKOUT

PAGE: Final = CHECKOUT / "docs" / "alarms.md"
BEGIN: Final = "<!-- alarms: make docs writes them -->"
END: Final = "<!-- /alarms -->"
DESCRIPTION: Final = re.compile(r"(?P<means>.+?\.) Threshold: (?P<why>.+\.) First: (?P<do>.+\.)")

SECTIONS: Final[Mapping[str, Sequence[str]]] = {
    "What callers notice": (
        *("TargetErrors", "BalancerErrors", "RequestsRefused", "NoHealthyTask", "UnhealthyTasks", "FastestAnswers"),
        *("TargetConnectionErrors", "RejectedConnections", "GatewayCertificate"),
    ),
    "Tasks": (
        *("TasksMissing", "Cpu", "Memory", "DatadogIntake", "DatadogRecordsLost", "DatabaseUnreachable"),
        *("NatPorts", "NatInstance", "SpendDropped"),
        *("TaskStoppedUntold", "DeploymentFailedUntold", "ServiceImpairedUntold"),
        *("GatewaySleepErrors", "SleepUndelivered"),
    ),
    "Database": (
        *("DatabaseCapacity", "DatabaseConnections", "LoginsRefused", "Deadlocks", "DatabaseVolume"),
        *("TransactionIds", "ReplicaLag", "NoSnapshotToCopy", "CopyFailedUntold"),
    ),
    "Cache": ("CacheUnreachable", "CacheMemory", "CacheEvictions", "CacheCpu", "CacheConnections"),
    "Web ACL": ("BlockedRequests", "RateLimited", "SignInsLimited"),
    "Accounts and mail": (
        *("DeadLetters", "Undelivered", "OldestRequest", "ReceiverDuration", "SlackCertificate"),
        *("OnboardingReceiverErrors", "OnboardingWorkerErrors", "OnboardingSweepErrors", "OnboardingBouncesErrors"),
        *("BounceRate", "ComplaintRate"),
    ),
    "Usage and the bill": (
        *("BedrockBill", "AzureBill", "VertexAiBill", "GeminiBill", "OpenAiBill", "AnthropicBill"),
        *("UsageReportErrors", "UsageBillErrors", "UsageUndelivered"),
    ),
    "Deployments and functions": (
        *("GatewayMigrationErrors", "DatadogManageErrors", "DatadogProviderErrors", "GatewaySmtpCredentialsErrors"),
        *("NetworkDefaultSecurityGroupErrors", "OnboardingLiteLlmKeyErrors", "SmokeLiteLlmKeyErrors"),
        *("SmokeTestErrors", "UsageLiteLlmKeyErrors", "Throttles"),
    ),
}
"""The headings of the page, and the alarms below each in their order."""


def tables(environments: Iterable[Facts]) -> str:
    """The headings with their tables, for the alarms that any of the environments has.

    The local one should be among them: it compares the bill of every cloud.

    Raises
    ------
    OpsError
        An alarm has no place in `SECTIONS`, or one is named there that no environment has.
    """
    described = _described(environments)
    placed = {name for names in SECTIONS.values() for name in names}
    if unplaced := sorted(described.keys() - placed):
        raise OpsError(f"SECTIONS of ops/alarms_reference.py does not say where {', '.join(unplaced)} belongs: add it")
    if gone := sorted(placed - described.keys()):
        raise OpsError(f"SECTIONS of ops/alarms_reference.py has {', '.join(gone)}, which is no alarm: remove it")
    parts = []
    for title, names in SECTIONS.items():
        rows = (f"| `{name}` | {' | '.join(described[name])} |" for name in names)
        parts.append("\n".join((f"## {title}", "", *_HEAD, *rows)))
    return "\n\n".join(parts)


def document(environments: Iterable[Facts]) -> str:
    """The page as it should be: its own words, with the tables between the marks."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise OpsError(f"{PAGE.relative_to(CHECKOUT)} has no longer the marks {BEGIN} and {END}: put them back")
    return f"{before}{BEGIN}\n\n{tables(environments)}\n\n{END}{after}"


_HEAD = ("| Alarm | What it means | Threshold, and why | First |", "| --- | --- | --- | --- |")


def _described(environments: Iterable[Facts]) -> dict[str, tuple[str, str, str]]:
    """What each alarm means, why its threshold is there and what to do first: the same in every environment."""
    described: dict[str, tuple[str, str, str]] = {}
    for facts in environments:
        for place, alarm in facts.resources("AWS::CloudWatch::Alarm").items():
            name = plain(place.partition("/")[2])
            found = DESCRIPTION.fullmatch(str(alarm.get("AlarmDescription", "")))
            if not found:
                raise OpsError(f"the alarm {name} does not say what it means, why, and what to do first: see describe")
            words = (found["means"], found["why"], found["do"])
            if described.setdefault(name, words) != words:
                raise OpsError(f"the alarm {name} does not say the same in every environment: name the setting instead")
    return described
