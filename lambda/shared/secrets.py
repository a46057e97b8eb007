"""Secrets, which are read at run time."""

import os

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import UnavailableError

SECRET_AGE = 300  # seconds that a secret is remembered: a rotated one counts after this time, without a deployment


def secret(name: str) -> str:
    """The value of one of the environment's secrets, such as SLACK_BOT_TOKEN or ONBOARDING_KEY.

    Raises
    ------
    UnavailableError
        Parameter Store did not answer, or has no such parameter.
    """
    parameter = f"{os.environ['PARAMETER_PREFIX']}/{name}"
    try:
        return str(parameters.get_parameter(parameter, decrypt=True, max_age=SECRET_AGE))
    except (GetParameterError, BotoCoreError) as error:
        raise UnavailableError(
            f"cannot read the parameter {parameter} ({_why(error)}): store it with make secrets, or see whether the "
            "function's role and Parameter Store allow it"
        ) from None  # AWS's message may repeat what was sent


def _why(error: Exception) -> str:
    """AWS's code, or what happened to the connection."""
    cause = error.__cause__ or error.__context__ or error
    return str(cause.response["Error"]["Code"]) if isinstance(cause, ClientError) else type(cause).__name__
