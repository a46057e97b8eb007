"""Runs the smoke test of a deployed gateway, and prints what it found: `make smoke ENV=dev`.

The test is the function `litellm-<environment>-smoke` of the environment's account. It asks the gateway over HTTPS at
its public name, as people do: health, sign-in page, one completion by each provider, the version that answers, and
whether the spend is seen. It costs about 0.001 USD and takes about a minute, which is how often LiteLLM writes spend.

Integrates with AWS Lambda and AWS STS, through boto3's own credentials and settings (AWS_PROFILE, AWS_ENDPOINT_URL, …).

Exit codes: 0 passed; 1 failed; 2 a mistake or an error, in one sentence; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore import exceptions as aws
from botocore.config import Config

from ops.access import ADVICE, Access, OpsError, connect, environment_named, run

LONGEST_SECONDS: Final = 15 * 60  # of a function
CLIENT: Final = Config(
    connect_timeout=10,
    read_timeout=LONGEST_SECONDS + 30,
    retries={"total_max_attempts": 1},  # another attempt would be another test, beside the first
    tcp_keepalive=True,  # NAT gateways forget a connection that is silent for 350 s
)
REFUSED: Final[Mapping[str, str]] = {
    **ADVICE,
    **dict.fromkeys(
        ("AccessDenied", "AccessDeniedException"),
        "these AWS credentials need lambda:InvokeFunction on the smoke test; of another account than the environment's "
        "only that of releases in company/environments.py may run it, once it is deployed with that setting",
    ),
    "TooManyRequestsException": "the account runs as many functions at once as it may: wait a minute and run it again",
}
"""What to do about an error code of Lambda's."""


@dataclass(frozen=True)
class Check:
    """What a check found."""

    name: str
    passed: bool
    detail: str
    seconds: float


@dataclass(frozen=True)
class Report:
    """What a smoke test found: of the gateway at `url`, with the version of LiteLLM that answered, if one did."""

    environment: str
    checks: tuple[Check, ...]
    url: str = ""
    version: str = ""
    cost: float = 0.0  # US dollars

    @property
    def passed(self) -> bool:
        """Whether all of it was good."""
        return all(check.passed for check in self.checks)

    def text(self) -> str:
        """A line for each check, and one for all."""
        width = max(len(check.name) for check in self.checks)
        failed = [check.name for check in self.checks if not check.passed]
        of = ", ".join(filter(None, (self.url, self.version and f"LiteLLM {self.version}")))
        return "\n".join(
            (
                f"{self.environment}: {of}" if of else self.environment,
                *(
                    f"  {'passed' if check.passed else 'FAILED'}  {check.name:{width}}  {check.detail}"
                    f" ({check.seconds:.1f} s)"
                    for check in self.checks
                ),
                f"The smoke test failed: {', '.join(failed)}."
                if failed
                else f"The smoke test passed, for {self.cost:.6f} USD.",
            )
        )


def smoke(access: Access) -> Report:
    """Run the smoke test, once, and wait for what it found. A function that ends with an error is a failed test.

    It is invoked with the caller's own credentials: the function lets those of the releases' account in.

    Raises
    ------
    OpsError
        It could not be run: there is no such function, it may not be invoked, or its answer did not come.
    """
    environment, session = access.environment, access.session
    region = environment.region
    name = f"litellm-{environment.name}-smoke"
    arn = f"arn:{session.get_partition_for_region(region)}:lambda:{region}:{environment.account}:function:{name}"
    client = session.client("lambda", region_name=region, config=CLIENT)
    try:
        answer = client.invoke(FunctionName=arn, InvocationType="RequestResponse")
        payload = json.loads(answer["Payload"].read())
    except client.exceptions.ResourceNotFoundException:
        raise OpsError(
            f"there is no function {name} in account {environment.account}, {region}: the deployment makes it (make "
            f"deploy ENV={environment.name})."
        ) from None
    except aws.ClientError as error:
        code = error.response["Error"]["Code"]
        raise OpsError(f"AWS refused to run {name} ({code}): {REFUSED.get(code, 'see its documentation')}.") from error
    except (aws.ReadTimeoutError, aws.ConnectionClosedError, aws.ResponseStreamingError) as error:
        raise OpsError(
            f"{name} was started, and its answer did not come ({type(error).__name__}): look at the network, and run "
            "it again."
        ) from error
    if "FunctionError" in answer:
        return Report(environment.name, (_ended(name, payload),))
    return Report(
        environment=environment.name,
        checks=tuple(Check(**each) for each in payload["checks"]),
        url=payload["url"],
        version=payload["version"],
        cost=payload["cost"],
    )


def _ended(name: str, payload: Mapping[str, Any]) -> Check:
    """The one finding about a function that gave no answer. Its message may be long, and is in its log."""
    timed_out = "Task timed out" in str(payload.get("errorMessage"))
    how = "did not end in its time" if timed_out else f"ended with an error ({payload.get('errorType', 'unknown')})"
    return Check("smoke test", False, f"the function {name} {how}: read its log in CloudWatch Logs", 0.0)


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.smoke", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
    result.add_argument("--assume-roles", action="store_true", help="credentials are of the account that releases")
    return result


def main(argv: list[str] | None = None, *, session: boto3.Session | None = None) -> int:
    """Run the command and return its exit code. Tests give the session."""
    arguments = parser().parse_args(argv)

    def work() -> int:
        environment = environment_named(arguments.env)
        report = smoke(connect(environment, session, assume_roles=arguments.assume_roles))
        print(report.text(), flush=True)
        return 0 if report.passed else 1

    return run("smoke", work, advice=REFUSED)


if __name__ == "__main__":
    sys.exit(main())
