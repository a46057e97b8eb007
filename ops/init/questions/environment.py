"""Which environments there are, where each one is, what it is called by, how large it is, and when it is there."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter

from ops.init.kinds import YES_NO, RefusedError, choice, each, setting, text, texts
from ops.init.meaning import SIZES
from ops.init.questions.question import Context, Question, always, before, check_among, given, part
from ops.init.questions.usage import TIMEZONES
from stacks.company import LOCAL
from stacks.settings import Environment, HostedZone, HostName, Region, Sleep


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

CACHE: Final = Question(
    "cache",
    "A cache in which its tasks count as one",
    YES_NO,
    "Limits a minute, budgets, regions that are left out, notices and revoked keys then hold over all tasks, and not "
    "for each. A node of ElastiCache for Valkey, where no answer is kept: 9 USD a month in us-east-1, 15 in "
    "ap-northeast-1.",
    lambda context: context.is_last and context.get("size") != "small",
)
"""Of each environment; the last one is what people work with."""


def _may_sleep(context: Context) -> bool:
    """Settings refuse it where others say that people rely on the environment."""
    return not context.get("deletion_protection") and context.get("size") != "large"


SLEEP: Final = (
    part(
        "sleep",
        "Let it sleep at night and at weekends",
        "Then no task runs and the database pauses; make wake wakes it within minutes, with all that it had. Awake for "
        "ten hours of five days, one of one task costs 54 USD a month less in us-east-1, 68 in ap-northeast-1.",
        when=_may_sleep,
    ),
    Question(
        "sleep.awake",
        "Hours in which it is awake",
        text(setting(Sleep, "awake")),
        "From when to when, as in 08:00-20:00. With none it sleeps and wakes by make sleep and make wake alone.",
        before("sleep.awake", "09:00-19:00"),
        optional=True,
    ),
    Question(
        "sleep.days",
        "Days on which it is awake",
        texts(setting(Sleep, "days")),
        "Of MON, TUE, WED, THU, FRI, SAT and SUN.",
        before("sleep.days", list(Sleep().days)),
        when=given("sleep.awake"),
    ),
    Question(
        "sleep.timezone",
        "Time zone of these hours",
        text(setting(Sleep, "timezone")),
        "Such as Asia/Tokyo or UTC.",
        lambda context: context.before("sleep.timezone") or TIMEZONES.get(context.get("region") or "", "UTC"),
        when=given("sleep.awake"),
    ),
)
"""Of each environment that people can do without at night."""

LOCALLY: Final = Question(
    "local",
    "Environment that make up runs on this machine",
    text(setting(Environment, "name")),
    "Under another name and account.",
    lambda context: context.answers.named[0],
    check=lambda context, value: check_among([value], context.answers.named),
)
"""Of the company as a whole, once everything else is known of the environment that is run."""
