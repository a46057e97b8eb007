"""The questions of `make init`, in the order in which they are asked.

`question` is what a question is; the others have the questions of a subject each, as rows of a table: what is asked,
what it may be answered with, and what its default follows from. One whose key has that of a part in front
(`slack.workspace`) is asked where the part is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ops.init.answers import Keys
from ops.init.questions.environment import CACHE, ENVIRONMENT, ENVIRONMENTS, LOCALLY, PROTECTION, SLEEP
from ops.init.questions.network import NETWORK
from ops.init.questions.observability import LISTENERS, OBSERVABILITY
from ops.init.questions.onboarding import COMMAND, PEOPLE
from ops.init.questions.providers import ADDRESSES, PROVIDERS
from ops.init.questions.question import Group
from ops.init.questions.releases import RELEASES
from ops.init.questions.usage import BILL, REPORT, REPORT_CHANNEL

PLACE: Final = Group("The environment {name}", True, (*ENVIRONMENT, *NETWORK, PROTECTION, CACHE, *SLEEP))
"""What has to be right for anything else of an environment to work: AWS is asked about it at once."""

GROUPS: Final = (
    Group("The environments", False, (ENVIRONMENTS,)),
    PLACE,
    Group("Providers and models", False, PROVIDERS),
    Group("The providers of {name}", True, ADDRESSES),
    Group(
        "People, Slack, Datadog and releases",
        False,
        (*PEOPLE, *REPORT, *OBSERVABILITY, *BILL, *RELEASES, LOCALLY),
    ),
    Group("What {name} tells whom", True, (COMMAND, REPORT_CHANNEL, *LISTENERS)),
)
"""Everything that is asked, in this order."""


def _keys(*, each: bool) -> Iterator[str]:
    for group in GROUPS:
        if group.each is each:
            yield from (question.key for question in group.questions if question is not ENVIRONMENTS)


KEYS: Final = Keys(
    tuple(_keys(each=False)),
    tuple(_keys(each=True)),
    {question.key for group in GROUPS for question in group.questions if question.section},
)
"""What may be answered at all, by which a file of answers is read."""
