"""Looks at everything in an environment's AWS account that a deployment relies on: `make doctor ENV=dev`.

A line for each check: `ok`, `problem` with its remedy below it, or `?` for what could not be looked at, and why. The
checks run side by side, and none hides another. What is needed follows from the environment's settings and from
`company/config.yaml`. Nothing is changed.

Integrates with AWS Account Management, Bedrock, Certificate Manager, Chatbot (Amazon Q Developer in chat applications),
CloudFormation, EC2, IAM, Lambda, RDS, Route 53, Service Quotas, SES, STS and Systems Manager, through boto3's own
credentials and settings (AWS_PROFILE, AWS_ENDPOINT_URL, …), and with dns.google, which is asked for the name servers of
the hosted zone.

Exit codes: 0 all is well; 1 there is a problem; 2 something could not be looked at, or a mistake or an error, in one
sentence; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

import boto3

from ops.access import connect, environment_named, run
from ops.doctor.account import Account
from ops.doctor.examination import examine
from ops.doctor.report import exit_code, table


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(prog="python -m ops.doctor", description=(__doc__ or "").split("\n\n")[0])
    result.add_argument("--env", required=True, metavar="NAME", help="an environment of company/environments.py")
    result.add_argument("--assume-roles", action="store_true", help="credentials are of the account that releases")
    result.add_argument("--json", action="store_true", help="a JSON list, for another program")
    return result


def main(argv: list[str] | None = None, *, session: boto3.Session | None = None) -> int:
    """Run the command and return its exit code. Tests give the session."""
    arguments = parser().parse_args(argv)

    def work() -> int:
        environment = environment_named(arguments.env)
        access = connect(environment, session, assume_roles=arguments.assume_roles)
        if not arguments.json:
            print(f"{environment.name}: account {environment.account}, {environment.region}", flush=True)
        findings = examine(Account(access, access.acting_as("lookup")))
        if arguments.json:
            print(json.dumps([asdict(finding) for finding in findings], indent=1))
        else:
            print(table(findings))
        return exit_code(findings)

    return run("doctor", work)


if __name__ == "__main__":
    sys.exit(main())
