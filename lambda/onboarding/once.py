"""What has been done stays done: every request, and every step of one that others notice, is done once.

The record is a row of the DynamoDB table, written by Powertools' Idempotency: in progress before the work, complete
with its result after it, gone if the work raised. Where the table does not take that a step is done, the process knows
it as long as it lives; a mail is noted in the account as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyItemNotFoundError,
    IdempotencyPersistenceLayerError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.base import BasePersistenceLayer
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from onboarding.errors import UnavailableError

# As long as the dead-letter queue may keep a request, which is then sent again (SQS: 14 days at most).
KEEP = 14 * 24 * 3600
# The rows' keys are `onboarding#<hash of the step>`. One prefix for all: a step runs within a request, and Powertools
# keeps the prefix of the last one in the store.
PREFIX = "onboarding"

Result = TypeVar("Result", str, dict[str, str])

logger = Logger(child=True)
_unwritten: dict[str, Any] = {}  # by step: what this process has done, and the table did not take


class Once:
    """Does each step once, whichever attempt or function it is."""

    def __init__(self, store: BasePersistenceLayer, context: LambdaContext) -> None:
        # With the context, what a function left in progress when it died is free again at the end of its time.
        self._config = IdempotencyConfig(expires_after_seconds=KEEP, lambda_context=context, hash_function="sha256")
        self._store = store

    def __call__(self, step: str, work: Callable[[], Result], *, noticed: bool = True) -> Result:
        """Return the work's result, or that of the time when it was done.

        What nobody has `noticed` is not done before the table has it.

        Raises
        ------
        IdempotencyAlreadyInProgressError
            Another function is doing it, or died while doing it.
        UnavailableError
            The table did not answer, and nothing has been done that others notice.
        """
        if step in _unwritten:
            return _unwritten[step]  # type: ignore[no-any-return]
        made: list[Result] = []

        @idempotent_function(  # type: ignore[untyped-decorator, unused-ignore]
            data_keyword_argument="step", persistence_store=self._store, config=self._config, key_prefix=PREFIX
        )
        def work_once(*, step: str) -> Result:
            made.append(work())
            return made[0]

        try:
            result: Result = work_once(step=step)
        except IdempotencyPersistenceLayerError:
            if not (made and noticed):
                raise UnavailableError("the table of what has been done did not answer") from None
            # To do it again would be the fault that the table is there against.
            logger.warning("a step is done, and the table did not take it")
            result = _unwritten[step] = made[0]
        return result

    def done(self, step: str) -> bool:
        """Tell whether a step has been begun, as far as the table knows."""
        self._store.configure(self._config, key_prefix=PREFIX)
        try:
            return self._store.get_record(step) is not None  # type: ignore[arg-type]
        except IdempotencyItemNotFoundError:
            return step in _unwritten
        except (BotoCoreError, ClientError):
            raise UnavailableError("the table of what has been done did not answer") from None
