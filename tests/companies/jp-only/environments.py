"""Two environments in Tokyo whose prompts must not leave Japan, in an Enterprise Grid organisation of Slack."""

from stacks.settings import Alarms, Environment, Gateway, HostedZone, Ingress, Network, Onboarding, Report

ORGANISATION = "E0JAPAN1234"  # its people are in many workspaces
OFFICES = ("203.0.113.0/26", "198.51.100.64/27")
ZONES = ("ap-northeast-1a", "ap-northeast-1c")


def kaihatsu() -> Environment:
    """Where the gateway itself is worked on: everyone may manage it."""
    return Environment(
        name="kaihatsu",
        account="888888888881",
        hosted_zone=HostedZone(id="Z0888881KAIHATSU", name="kaihatsu.example.co.jp"),
        domain="llm.kaihatsu.example.co.jp",
        network=Network(zones=ZONES, cidr="10.81.0.0/21"),
        ingress=Ingress(public=True, cidrs=OFFICES, management_cidrs=OFFICES),
        deletion_protection=False,
        log_retention_days=30,
    )


def honban() -> Environment:
    """For everyone in the company."""
    return Environment(
        name="honban",
        account="888888888882",
        hosted_zone=HostedZone(id="Z0888882HONBAN", name="example.co.jp"),
        domain="llm.example.co.jp",
        network=Network(zones=ZONES, cidr="10.82.0.0/16", nat_gateways=2),
        ingress=Ingress(public=True, cidrs=OFFICES, management_cidrs=OFFICES[:1]),
        gateway=Gateway(min_tasks=2, max_tasks=4),
        onboarding=Onboarding(
            workspace=ORGANISATION,
            audit_channel="C0KANSA5678",
            mail_domains=("example.co.jp",),
            teams=("kenkyu", "eigyo", "somu"),
            budget_duration="1mo",
        ),
        alarms=Alarms(emails=("unyo@example.co.jp",)),
        report=Report(channel="C0RIYOU1234", timezone="Asia/Tokyo", weekly=False),
        log_retention_days=1827,
    )


ENVIRONMENTS = (kaihatsu, honban)
