"""Secrets, which are read at run time."""

import os

from aws_lambda_powertools.utilities import parameters

SECRET_AGE = 300  # seconds that a secret is remembered: a rotated one counts after this time, without a deployment


def secret(name: str) -> str:
    """The value of one of the environment's secrets, such as SLACK_BOT_TOKEN or ONBOARDING_KEY.

    Raises
    ------
    GetParameterError
        The parameter store did not answer, or has no such parameter.
    """
    value = parameters.get_parameter(f"{os.environ['PARAMETER_PREFIX']}/{name}", decrypt=True, max_age=SECRET_AGE)
    return str(value)
