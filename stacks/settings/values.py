"""The values that settings have, each with its check: a region, a range, an address, an id of Slack.

A value that cannot work is refused when it is read, in one sentence that says what to write instead.
"""

import ipaddress
import re
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from stacks.endpoints import regions_of

# Tags of a resource: AWS takes 50, of which the CDK and CloudFormation add some.
MOST_TAGS = 40

# The days that CloudWatch Logs accepts, and the CDK's names for them (`aws_logs.RetentionDays`).
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = {
    1: "ONE_DAY",
    3: "THREE_DAYS",
    5: "FIVE_DAYS",
    7: "ONE_WEEK",
    14: "TWO_WEEKS",
    30: "ONE_MONTH",
    60: "TWO_MONTHS",
    90: "THREE_MONTHS",
    120: "FOUR_MONTHS",
    150: "FIVE_MONTHS",
    180: "SIX_MONTHS",
    365: "ONE_YEAR",
    400: "THIRTEEN_MONTHS",
    545: "EIGHTEEN_MONTHS",
    731: "TWO_YEARS",
    1096: "THREE_YEARS",
    1827: "FIVE_YEARS",
    2192: "SIX_YEARS",
    2557: "SEVEN_YEARS",
    2922: "EIGHT_YEARS",
    3288: "NINE_YEARS",
    3653: "TEN_YEARS",
}


class SettingsError(ValueError):
    """A setting that cannot work. The message is one sentence for the person who edits the settings."""


def _known_region(region: str) -> str:
    if region not in regions_of("ecs"):
        raise ValueError(f"'{region}' is not an AWS region: use one such as ap-northeast-1")
    return region


def _network(cidr: Any) -> ipaddress.IPv4Network:  # noqa: ANN401 - pydantic hands over whatever was written
    try:
        return ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"'{cidr}' is not an IPv4 range ({error}): write it as 10.0.0.0/16") from error


def _address(address: Any) -> ipaddress.IPv4Address:  # noqa: ANN401 - pydantic hands over whatever was written
    try:
        return ipaddress.IPv4Address(address)
    except ValueError as error:
        raise ValueError(f"'{address}' is no IPv4 address: write it as 203.0.113.9") from error


def _not_the_world(cidr: ipaddress.IPv4Network) -> ipaddress.IPv4Network:
    # Two /1 are the world as well as one /0 is; no company's own range is wider than a /8.
    if cidr.prefixlen < 8:
        raise ValueError(f"{cidr} is open to the world: name your company's own ranges (a /8 at the widest)")
    return cidr


def _retention(days: int) -> int:
    if days not in RETENTION_DAYS:
        raise ValueError(
            f"CloudWatch Logs keeps no log for {days} days: choose one of {', '.join(map(str, RETENTION_DAYS))}"
        )
    return days


@cache
def _timezones() -> frozenset[str]:
    """Every time zone of the machine or of tzdata: looking for them takes a while.

    What `localtime` is depends on the machine, and Factory says that a machine has none.
    """
    return frozenset(available_timezones() - {"localtime", "Factory"})


def known_timezone(name: str) -> str:
    """Refuse a name that is no time zone."""
    if name not in _timezones():
        raise ValueError(f"'{name}' is no time zone: use one such as Asia/Tokyo or UTC")
    return name


def like(pattern: str, problem: str) -> AfterValidator:
    """Refuse a text that the pattern does not fit, with what is wrong and what to write instead."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"'{value}' is {problem}")
        return value

    return AfterValidator(check)


def once(what: str) -> AfterValidator:
    """Refuse a list that names one twice."""

    def check(values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) != len(values):
            raise ValueError(f"{what} is named twice ({', '.join(map(str, values))}): name each once")
        return values

    return AfterValidator(check)


def _tags(tags: dict[str, str]) -> dict[str, str]:
    """What every service takes: IAM does not tell keys by case, and a template comes back without other characters."""
    for key, value in tags.items():
        if not re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{1,128}", key) or key.lower().startswith("aws:"):
            raise ValueError(f"'{key}' is no key of a tag: use at most 128 letters, digits and _.:/=+@-, not aws:…")
        if not re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{0,256}", value):
            raise ValueError(f"'{value}' is no value of a tag: use at most 256 letters, digits and _.:/=+@-")
    if len({key.lower() for key in tags}) != len(tags):
        raise ValueError(f"two keys differ only by case ({', '.join(tags)}): IAM takes them for one, so name it once")
    if len(tags) > MOST_TAGS:
        raise ValueError(f"there are {len(tags)} of them, and AWS takes 50 with its own: keep to {MOST_TAGS}")
    return tags


SubnetId = Annotated[str, like(r"subnet-[0-9a-f]{8,17}", "no id of a subnet: copy it whole, subnet-…")]
AccountId = Annotated[str, like(r"\d{12}", "no AWS account: write its twelve digits in quotes")]
Region = Annotated[str, AfterValidator(_known_region)]
Address = Annotated[ipaddress.IPv4Address, BeforeValidator(_address)]
Cidr = Annotated[ipaddress.IPv4Network, BeforeValidator(_network)]
NamedRange = Annotated[Cidr, AfterValidator(_not_the_world)]
HostName = Annotated[
    str,
    like(
        r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
        "no host name: write it in small letters, without https:// and without a dot at the end",
    ),
]
MailAddress = Annotated[
    str,
    BeforeValidator(lambda address: address.lower() if isinstance(address, str) else address),
    like(r"[a-z0-9._+-]{1,64}@([a-z0-9-]+\.)+[a-z]{2,63}", "no mail address: write it as sre@example.com"),
]
TeamName = Annotated[
    str,
    like(
        r"[a-z0-9][a-z0-9-]{0,39}",
        "no name for a team: use at most 40 small letters, digits and hyphens, as in data-eng",
    ),
]
UsDollars = Annotated[float, Field(ge=0.01, le=1_000_000)]
Percent = Annotated[float, Field(ge=0.01, le=100)]
SlackWorkspaceId = Annotated[
    str, like(r"[TE][A-Z0-9]{6,20}", "no workspace of Slack: copy its id, T… (or E…, of an organization)")
]
SlackChannelId = Annotated[
    str, like(r"[CG][A-Z0-9]{6,20}", "no channel of Slack: copy its id, C… or G…, from the channel's details")
]
SlackGroupId = Annotated[str, like(r"S[A-Z0-9]{6,20}", "no user group of Slack: copy its id, S…")]
Uuid = Annotated[
    str,
    like(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "no id of Azure: copy it whole, eight-four-four-four-twelve"),
]
RetentionDays = Annotated[int, AfterValidator(_retention)]
VariableName = Annotated[
    str,
    like(r"[A-Z][A-Z0-9_]{1,99}", "no name of a variable: use capitals, digits and underscores, as in AZURE_EU_BASE"),
]
VariableValue = Annotated[
    str, like(r"[!-~]([ -~]{0,1022}[!-~])?", "no value of a variable: use 1 to 1024 characters of ASCII, in one line")
]
Tags = Annotated[dict[str, str], AfterValidator(_tags)]
EndpointName = Annotated[
    str,
    like(r"[a-z0-9]([a-z0-9.-]{0,60}[a-z0-9])?", "no service with an endpoint: use its name, as in ecr.dkr or ssm"),
]
Acu = Annotated[float, Field(ge=0.5, le=256, multiple_of=0.5)]


class Settings(BaseModel):
    """What all groups of settings have in common: frozen, and no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
