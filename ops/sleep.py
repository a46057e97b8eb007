"""Wakes an environment that sleeps, or lets it fall asleep: `make wake ENV=dev`, `make sleep ENV=dev`.

The function `litellm-<environment>-sleep` of the environment's account does it, as it does by the clock. Waking takes
three to five minutes; nothing is lost by either. An environment that was woken falls asleep again in the evening, by
its clock. One without `sleep` in its settings never sleeps.

Integrates with AWS Lambda and AWS STS, through boto3's own credentials and settings (AWS_PROFILE, AWS_ENDPOINT_URL, …).

Exit codes: 0 it is so; 2 a mistake or an error, in one sentence; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Final, Literal

import boto3
from botocore import exceptions as aws

from ops.access import ADVICE, Access, OpsError, connect, environment_named, run
from ops.smoke import CLIENT
from stacks.gateway.sleep import function_name

State = Literal["awake", "asleep"]
STATES: Final[tuple[State, ...]] = ("awake", "asleep")


def put(access: Access, to: State) -> str:
    """Have the environment be awake or asleep, wait for it, and return what came of it, in a sentence.

    Raises
    ------
    OpsError
        It never sleeps, is not deployed, may not be woken with these credentials, or no task becomes healthy.
    """
    environment = access.environment
    if not environment.sleep:
        raise OpsError(
            f"{environment.name} never sleeps: its settings have no sleep (company/environments.py, docs/settings.md)."
        )
    name = function_name(environment)
    client = access.session.client("lambda", region_name=environment.region, config=CLIENT)
    try:
        answer = client.invoke(FunctionName=name, Payload=json.dumps({"to": to}).encode())
        found = json.loads(answer["Payload"].read())
    except client.exceptions.ResourceNotFoundException:
        raise OpsError(
            f"there is no function {name} in account {environment.account}, {environment.region}: the deployment makes "
            f"it (make deploy ENV={environment.name})."
        ) from None
    except (aws.ReadTimeoutError, aws.ConnectionClosedError, aws.ResponseStreamingError) as error:
        raise OpsError(
            f"{name} was started, and its answer did not come ({type(error).__name__}): ask again."
        ) from error
    if "FunctionError" in answer:
        raise OpsError(f"{name} failed: {found.get('errorMessage', 'its log in CloudWatch Logs says why')}.")
    if found["was"] == to:
        return f"{environment.name} was {to} already."
    until = f" It wakes by its clock: {environment.sleep.told()}." if to == "asleep" and environment.sleep.awake else ""
    return f"{environment.name} is {to}, after {found['seconds']} s.{until}"


def main(argv: list[str] | None = None, *, session: boto3.Session | None = None) -> int:
    """Run the command and return its exit code. Tests give the session."""
    parser = argparse.ArgumentParser(prog="python -m ops.sleep", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("to", choices=STATES, help="what it is to be")
    parser.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
    arguments = parser.parse_args(argv)

    def work() -> int:
        print(put(connect(environment_named(arguments.env), session), arguments.to), flush=True)
        return 0

    advice = {**ADVICE, "AccessDeniedException": "these credentials need lambda:InvokeFunction on litellm-<env>-sleep"}
    return run("wake" if arguments.to == "awake" else "sleep", work, advice=advice)


if __name__ == "__main__":
    sys.exit(main())
