"""Who used what: the report in Slack with the flat-rate plans, and the providers' bills it is held against."""

from datetime import datetime, timedelta
from math import ceil
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from stacks.settings.values import (
    Percent,
    Settings,
    SlackChannelId,
    SlackGroupId,
    UsDollars,
    Uuid,
    known_timezone,
    like,
    once,
)

BILL_SECRETS: Final = {
    "azure": "AZURE_BILLING_SECRET",
    "google": "GOOGLE_BILLING_CREDENTIALS",
    "gemini": "GOOGLE_BILLING_CREDENTIALS",
    "openai": "OPENAI_ADMIN_KEY",
    "anthropic": "ANTHROPIC_ADMIN_KEY",
}
"""What each group of `Bill` reads a bill with, which the function of the comparison may read and no other."""
MOST_PARTS: Final = 20
"""Projects or workspaces that a bill may be narrowed to: they have to fit into a function's environment."""


class Plan(Settings):
    """A flat-rate plan of a provider, for one person: `monthly_price` in US dollars.

    It covers the models of `covers` (names in config.yaml; * stands for any characters), of whose use, at the prices
    that the gateway counts with, `monthly_allowance` US dollars a month are included; without it, all. `seats` is the
    Slack user group of those who have one. With `through_gateway` the use of a seat passes through the gateway, so that
    who hardly uses it can be told.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    monthly_price: UsDollars
    covers: Annotated[tuple[str, ...], Field(min_length=1)]
    monthly_allowance: UsDollars | None = None
    seats: SlackGroupId | None = None
    through_gateway: bool = False


class Report(Settings):
    """What Slack's `channel` (C… or G…) is told of usage: `weekly` on Mondays, `monthly` on the first, at `hour`.

    It names the `top` users, who would be cheaper on one of the `plans`, who uses less than `seat_percent` of what a
    seat costs, and whose spend is more than `jump_factor` times and `jump_minimum` US dollars above that of the period
    before. Its days are LiteLLM's, which are of UTC; `timezone` is that of `hour`.
    """

    channel: SlackChannelId
    weekly: bool = True
    monthly: bool = True
    hour: Annotated[int, Field(ge=0, le=23)] = 9
    timezone: Annotated[str, AfterValidator(known_timezone)] = "UTC"
    top: Annotated[int, Field(ge=1, le=50)] = 10
    jump_factor: Annotated[float, Field(gt=1, le=1000)] = 3
    jump_minimum: UsDollars = 20
    seat_percent: Percent = 20
    plans: Annotated[tuple[Plan, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [plan.name for plan in self.plans]
        if len(set(names)) != len(names):
            raise ValueError(f"plans has one name twice ({', '.join(names)}): give each its own")
        if not (self.weekly or self.monthly):
            raise ValueError("weekly and monthly are both off: turn one on, or leave report out")
        # The largest offset of the year, as of 2026: before that hour UTC's day, and so the period, is not over.
        zone = ZoneInfo(self.timezone)
        offsets = [datetime(2026, month, 1, tzinfo=zone).utcoffset() or timedelta() for month in (1, 7)]
        earliest = max(0, ceil(max(offsets) / timedelta(hours=1)))
        if self.hour < earliest:
            raise ValueError(
                f"hour {self.hour} in {self.timezone} is the day before in UTC, whose days the figures are of: use "
                f"{earliest} or later"
            )
        return self


class AzureBill(Settings):
    """Azure's bill: the subscription of the OpenAI resource, and an app registration that may read its costs.

    The app needs the role Cost Management Reader on the subscription; its client secret is the secret
    AZURE_BILLING_SECRET.
    """

    tenant: Uuid
    client: Uuid
    subscription: Uuid


class GoogleBill(Settings):
    """Google's bill: the table project.dataset.table of the billing export to BigQuery, and where its jobs run.

    GOOGLE_BILLING_CREDENTIALS is the key of a service account with the roles BigQuery Data Viewer on the table and
    BigQuery Job User on the project.
    """

    table: Annotated[
        str,
        like(
            r"[a-z][a-z0-9-]{4,28}[a-z0-9]\.[A-Za-z0-9_]+\.[A-Za-z0-9_]+",
            "no table of BigQuery: write it as project.dataset.table",
        ),
    ]
    location: Annotated[
        str, like(r"[A-Za-z0-9-]{2,30}", "no location of BigQuery: use one such as US, EU or asia-northeast1")
    ] = "US"


class GeminiBill(GoogleBill):
    """The bill of the Gemini API, which is another service than Vertex AI in an export of Google's.

    `project` is that of the API's key. The service account is the one of `GoogleBill`; with both, it reads both tables.
    """

    project: Annotated[
        str, like(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "no id of a Google project: copy it from AI Studio, as my-project")
    ]


class OpenAiBill(Settings):
    """OpenAI's bill: the organization's costs, or those of `projects` (proj_…) alone, as the gateway's own.

    OPENAI_ADMIN_KEY is an admin key of the organization, with no permission but to read usage.
    """

    projects: Annotated[
        tuple[Annotated[str, like(r"proj_[A-Za-z0-9]+", "no id of a project of OpenAI's: copy it whole, proj_…")], ...],
        Field(max_length=MOST_PARTS),
        once("a project"),
    ] = ()


class AnthropicBill(Settings):
    """Anthropic's bill: the organization's costs, or those of `workspaces` alone, as the gateway's own.

    A workspace is its id (wrkspc_…); the first one of an organization is told without an id, and is `default`.
    ANTHROPIC_ADMIN_KEY is an admin key of the organization.
    """

    workspaces: Annotated[
        tuple[
            Annotated[
                str,
                like(
                    r"wrkspc_[A-Za-z0-9]+|default",
                    "no workspace of Anthropic's: copy its id whole, wrkspc_…, or write default for the first one",
                ),
            ],
            ...,
        ],
        Field(max_length=MOST_PARTS),
        once("a workspace"),
    ] = ()


class Bill(Settings):
    """The monthly comparison of LiteLLM's costs with what AWS has on the bill, and others where they are given.

    An alarm tells of a difference above `tolerance_percent`, and the channel of `report`, where there is one, of all of
    them. `profile_tag` is the cost allocation tag of the Bedrock
    application inference profiles, where config.yaml uses such. What is read of the others' bills must not be used past
    the gateway, or it is higher than what the gateway has seen.
    """

    tolerance_percent: Percent = 3
    profile_tag: (
        Annotated[
            str, like(r"[A-Za-z0-9 _.:/=+@-]{1,128}", "no key of a tag: use at most 128 letters, digits and _.:/=+@-")
        ]
        | None
    ) = None
    azure: AzureBill | None = None
    google: GoogleBill | None = None
    gemini: GeminiBill | None = None
    openai: OpenAiBill | None = None
    anthropic: AnthropicBill | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets that the bills are read with."""
        return tuple(dict.fromkeys(secret for group, secret in BILL_SECRETS.items() if getattr(self, group)))
