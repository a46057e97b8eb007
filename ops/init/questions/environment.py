"""Which environments there are, where each one is, what it is called by, and how large it is."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter

from ops.init.kinds import YES_NO, RefusedError, choice, each, setting, text
from ops.init.meaning import SIZES
from ops.init.questions.question import Context, Question, always, check_among
from stacks.company import LOCAL
from stacks.settings import Environment, HostedZone, HostName, Region


def _check_names(_: Context, names: list[str]) -> None:
    if LOCAL in names:
        raise RefusedError(f"{LOCAL} is the environment of make up: give it another name")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RefusedError(f"{', '.join(twice)} is there twice: give each its own name")


ENVIRONMENTS: Final = Question(
    "environments",
    "Environments, in the order in which a release reaches them",
    each(setting(Environment, "name")),
    "One, such as prod, or several, such as dev, stg and prod: each has a gateway of its own, in an account of its own "
    "or together with others in one.",
    always(["dev", "stg", "prod"]),
    check=_check_names,
)
"""Asked first: all that is asked of each environment follows."""


def _zone_name(context: Context) -> str | None:
    """As that of the environment before, with this one's name in the place of that one's."""
    zone: str | None = context.before("hosted_zone")
    if zone is None:
        return None
    name, _, rest = zone.partition(".")
    return f"{context.name}.{rest}" if name == context.answers.named[context.number - 1] else zone


def _zone_id(context: Context) -> str | None:
    account, zone = context.get("account"), context.get("hosted_zone")
    for own in context.earlier.values():
        if (own.get("account"), own.get("hosted_zone")) == (account, zone) and "hosted_zone_id" in own:
            return str(own["hosted_zone_id"])
    return context.aws.zone_id(account, zone) if account and zone else None


def _domain(context: Context) -> str | None:
    if not (zone := context.get("hosted_zone")):
        return None
    taken = {own.get("domain") for own in context.earlier.values()}
    return next(name for name in (f"llm.{zone}", f"llm-{context.name}.{zone}") if name not in taken)


def _size(context: Context) -> str:
    """The last one is the company's; one before it is where a release is rehearsed."""
    if context.is_last:
        return "large" if len(context.answers.named) > 2 else "medium"
    return "medium" if context.number else "small"


ENVIRONMENT: Final = (
    Question(
        "account",
        "AWS account",
        text(setting(Environment, "account")),
        "Its twelve digits. Give the models no other user in it, or their costs cannot be held against the bill.",
        lambda context: context.before("account") or context.aws.account,
    ),
    Question(
        "region",
        "AWS region",
        text(TypeAdapter(Region)),
        "The region of everything but the models, which may be called elsewhere.",
        lambda context: context.before("region") or context.aws.region or "ap-northeast-1",
    ),
    Question(
        "hosted_zone",
        "Hosted zone of Route 53",
        text(setting(HostedZone, "name")),
        "The public zone, in the same account, that the gateway's records go into. To make one: aws route53 "
        "create-hosted-zone --name NAME --caller-reference gateway",
        _zone_name,
    ),
    Question(
        "hosted_zone_id",
        "Its id",
        text(setting(HostedZone, "id")),
        "Z…, as aws route53 list-hosted-zones-by-name --dns-name NAME shows it behind /hostedzone/.",
        _zone_id,
    ),
    Question(
        "domain",
        "Host name of the gateway",
        text(TypeAdapter(HostName)),
        "In the hosted zone. The gateway answers for no other name.",
        _domain,
    ),
    Question(
        "certificate_arn",
        "ARN of a certificate that is there already",
        text(setting(Environment, "certificate_arn")),
        "Of Certificate Manager, in the same account and region. With none the deployment makes one.",
        optional=True,
    ),
    Question(
        "size",
        "Size: small, medium or large",
        choice(*SIZES),
        "small: one task, one NAT gateway, logs for two weeks. medium: two tasks and more. large: three tasks and "
        "more, a NAT gateway a zone, a database reader to fail over to, backups of 35 days, logs for a year. The "
        "settings that come of it can be changed one by one in the file.",
        _size,
    ),
)
"""Of each environment: its account, its region, its names, its size."""

PROTECTION: Final = Question(
    "deletion_protection",
    "Protect database, load balancer and logs from removal",
    YES_NO,
    "no where it is to be gone when it is destroyed.",
    lambda context: context.is_last,
)
"""Of each environment."""

LOCALLY: Final = Question(
    "local",
    "Environment that make up runs on this machine",
    text(setting(Environment, "name")),
    "Under another name and account.",
    lambda context: context.answers.named[0],
    check=lambda context, value: check_among([value], context.answers.named),
)
"""Of the company as a whole, once everything else is known of the environment that is run."""
