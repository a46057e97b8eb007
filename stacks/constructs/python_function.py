"""Lambda functions in Python: a package of `lambda/` with its dependencies, and a function that runs a part of it."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsii
from aws_cdk import (
    Acknowledgment,
    AssetHashType,
    BundlingOptions,
    IgnoreMode,
    ILocalBundling,
    RemovalPolicy,
    Validations,
)
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct
from uv import find_uv_bin

from stacks import CHECKOUT
from stacks.settings import Environment

# What a function's settings may take as JSON, in a variable: Lambda takes 4 KB in all, the others need less than 1 KB.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
SETTINGS_BYTES = 3 * 1024
LAMBDA = CHECKOUT / "lambda"
RUNTIME = lambda_.Runtime.PYTHON_3_13
# The same files on every machine: wheels of Lambda's platform only, compiled ones too, each with its hash. Lambda runs
# Python 3.13 on Amazon Linux 2023, whose glibc is 2.34: https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html
WHEELS = (
    *("--python-platform", "aarch64-manylinux_2_34", "--python-version", "3.13", "--only-binary", ":all:"),
    *("--require-hashes", "--no-deps", "--no-config", "--quiet"),
)
NOT_SOURCE = ("__pycache__", "tests")
# What packages of `lambda/` import beside themselves, and is put beside them.
BESIDE = dict.fromkeys(("litellm_key", "migration", "onboarding", "sleep", "smtp_credentials", "usage"), ("shared",))


def source(name: str) -> lambda_.Code:
    """A package of `lambda/` that needs no libraries but Lambda's own, with what is `BESIDE` it."""
    return lambda_.Code.from_asset(str(LAMBDA), exclude=_all_but(name), ignore_mode=IgnoreMode.GIT)


def _all_but(name: str) -> list[str]:
    """As in a .gitignore: all of `lambda/` but a package and what is `BESIDE` it, and in them what is no source."""
    return ["/*", *(f"!/{folder}" for folder in (name, *BESIDE.get(name, ()))), *NOT_SOURCE]


class BundlingError(RuntimeError):
    """A package could not be put together. The message is one sentence for the person who synthesizes."""


def bundle(package: Path, target: Path) -> None:
    """Put a package of `lambda/`, with what it has `BESIDE` it and its requirements.txt locks, into a folder.

    Needs no Docker.

    What is compiled is for Lambda on ARM64, whatever machine this is.

    Raises
    ------
    BundlingError
        uv is not there, or could not install what is locked.
    """
    requirements = package / "requirements.txt"
    try:
        command = [
            find_uv_bin(),
            "pip",
            "install",
            *WHEELS,
            "--target",
            str(target),
            "--requirements",
            str(requirements),
        ]
        run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    except OSError as error:
        raise BundlingError(f"lambda/{package.name} needs uv, which did not start ({error}): run make setup") from error
    if run.returncode:
        raise BundlingError(
            f"lambda/{package.name}/requirements.txt could not be installed ({' '.join(run.stderr.split())}): "
            "look at the network, and make lock resolves it anew"
        )
    # Scripts name the interpreter that installed them, and an installer's notes differ from machine to machine.
    shutil.rmtree(target / "bin", ignore_errors=True)
    (target / ".lock").unlink(missing_ok=True)
    for name in (package.name, *BESIDE.get(package.name, ())):
        ignored = shutil.ignore_patterns(*NOT_SOURCE, requirements.name)
        shutil.copytree(package.parent / name, target / name, ignore=ignored)


@jsii.implements(ILocalBundling)
class _WithoutDocker:
    """Bundles with `bundle`; what went wrong is kept, as it would come back as a trace of jsii's."""

    def __init__(self, package: Path) -> None:
        self._package = package
        self.problem: BundlingError | None = None

    def try_bundle(self, output_dir: str, *_options: Any, **_more: Any) -> bool:  # noqa: ANN401 - jsii's signature
        try:
            bundle(self._package, Path(output_dir))
        except BundlingError as problem:
            self.problem = problem
            raise
        return True


class PythonPackage:
    """A package of `lambda/`, bundled once for all functions and all environments that run it.

    Its hash is that of its source and of what is `BESIDE` it, its locked requirements and `WHEELS`: the same on every
    machine, and known without bundling. With the context `"aws:cdk:bundling-stacks": []` nothing is bundled.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.bundling = _WithoutDocker(LAMBDA / name)
        self.code = lambda_.Code.from_asset(
            str(LAMBDA),
            exclude=_all_but(name),
            ignore_mode=IgnoreMode.GIT,
            asset_hash_type=AssetHashType.SOURCE,
            # The image is never run. The command is a part of the hash.
            bundling=BundlingOptions(image=RUNTIME.bundling_image, local=self.bundling, command=list(WHEELS)),
        )


class PythonFunction(lambda_.Function):
    """A function on ARM64 that runs `handler` of a package's module, with a log group of its own, in JSON.

    Not traced by X-Ray: its permission would be on everything, and the log lines of one request carry one id.

    Raises
    ------
    BundlingError
        The package could not be put together.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        package: PythonPackage,
        module: str,
        environment: Environment,
        variables: dict[str, str],
        **kwargs: Any,  # noqa: ANN401 - a function's own properties
    ) -> None:
        log_group = logs.LogGroup(
            scope,
            f"{construct_id}Logs",
            retention=logs.RetentionDays[environment.log_retention],
            removal_policy=RemovalPolicy.RETAIN if environment.deletion_protection else RemovalPolicy.DESTROY,
        )
        try:
            super().__init__(
                scope,
                construct_id,
                code=package.code,
                handler=f"{package.name}.{module}.handler",
                runtime=RUNTIME,
                architecture=lambda_.Architecture.ARM_64,
                environment=variables,
                log_group=log_group,
                logging_format=lambda_.LoggingFormat.JSON,
                **kwargs,
            )
        except RuntimeError as error:
            raise package.bundling.problem or error from None
        managed = "arn:<AWS::Partition>:iam::aws:policy/service-role"
        findings = {
            "AwsSolutions-L1": "The newest version that the package is locked for; it is raised with requirements.txt",
            f"AwsSolutions-IAM4[Policy::{managed}/AWSLambdaBasicExecutionRole]": (
                "AWS's policy for writing a function's log, attached by the CDK"
            ),
        }
        if self.is_bound_to_vpc:
            findings[f"AwsSolutions-IAM4[Policy::{managed}/AWSLambdaVPCAccessExecutionRole]"] = (
                "AWS's policy for a function's network interfaces in a VPC, attached by the CDK"
            )
        Validations.of(self).acknowledge(*(Acknowledgment(id=rule, reason=reason) for rule, reason in findings.items()))
