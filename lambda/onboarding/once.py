"""What has been done stays done: every request, and every step of one that others notice, is done once.

The record is a row of the DynamoDB table, written by Powertools' Idempotency: in progress before the work, complete
with its result after it, gone if the work raised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyItemNotFoundError
from aws_lambda_powertools.utilities.idempotency.persistence.base import BasePersistenceLayer
from aws_lambda_powertools.utilities.typing import LambdaContext

# As long as the dead-letter queue may keep a request, which is then sent again (SQS: 14 days at most).
KEEP = 14 * 24 * 3600
# The rows' keys are `onboarding#<hash of the step>`. One prefix for all: a step runs within a request, and Powertools
# keeps the prefix of the last one in the store.
PREFIX = "onboarding"

Result = TypeVar("Result", str, dict[str, str])


class Once:
    """Does each step once, whichever attempt or function it is."""

    def __init__(self, store: BasePersistenceLayer, context: LambdaContext) -> None:
        # With the context, what a function left in progress when it died is free again at the end of its time.
        self._config = IdempotencyConfig(expires_after_seconds=KEEP, lambda_context=context, hash_function="sha256")
        self._store = store

    def __call__(self, step: str, work: Callable[[], Result]) -> Result:
        """Return the work's result, or that of the time when it was done.

        Raises
        ------
        IdempotencyAlreadyInProgressError
            Another function is doing it, or died while doing it.
        IdempotencyPersistenceLayerError
            The table did not answer.
        """

        @idempotent_function(  # type: ignore[untyped-decorator, unused-ignore]
            data_keyword_argument="step", persistence_store=self._store, config=self._config, key_prefix=PREFIX
        )
        def done(*, step: str) -> Result:
            return work()

        result: Result = done(step=step)
        return result

    def done(self, step: str) -> bool:
        """Tell whether a step has been begun, as far as the table knows."""
        self._store.configure(self._config, key_prefix=PREFIX)
        try:
            return self._store.get_record(step) is not None  # type: ignore[arg-type]
        except IdempotencyItemNotFoundError:
            return False
