#!/usr/bin/env python3
"""The composition root: a stage per environment, its copies elsewhere, and what promotes releases, checked by cdk-nag.

Only here is context read:

- `environments`: the stages to make, with commas between (`-c environments=dev,prod`), and nothing else. Without it:
  every one that is deployed, and the pipeline.
- `image`: the release's image by its digest (`-c image=ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:…`). Without it
  each deployment builds its own.
- `packs`: cdk-nag's packs beside AwsSolutions are applied too (ops/audit/packs.py). What they find fails the synthesis,
  as none of it is acknowledged: a test holds it against the answers.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks

from stacks.company import Company, company
from stacks.constructs.python_function import BundlingError
from stacks.copies import CopiesStack
from stacks.environment_stage import EnvironmentStage
from stacks.litellm_config import ConfigError
from stacks.releases.github import github_stacks
from stacks.releases.image import ImageStack
from stacks.releases.pipeline import PipelineStack
from stacks.settings import SettingsError
from stacks.settings.regions import PIPELINE, told, unknown


def build(app: cdk.App, own: Company) -> None:
    """Add the stage of each environment of the company, and the stacks of what promotes releases.

    Raises
    ------
    SettingsError, ConfigError, BundlingError
        What a person has to mend, each in a line.
    """
    chosen, image = app.node.try_get_context("environments"), app.node.try_get_context("image")
    names = chosen.split(",") if chosen else list(own.environments)
    for name in names:
        if name not in own.all:
            raise SettingsError(f"there is no environment '{name}': company/environments.py has {', '.join(own.all)}")
    check_config(own, names)
    stages: dict[str, EnvironmentStage] = {}
    for name in names:
        stages[name] = EnvironmentStage(
            app, environment=own.all[name], config_file=own.config, image=image, releases=own.releases
        )
    if not chosen:
        keep_copies(app, own)
    if own.releases and not chosen:
        promote(app, own, stages if image else {})


def keep_copies(app: cdk.App, own: Company) -> None:
    """Add what is in the second region of each environment that has one: `Copies-<environment>`."""
    for environment in own.environments.values():
        if copies := environment.database.copies:
            CopiesStack(
                app,
                f"Copies-{environment.name}",
                environment=environment,
                stack_name=f"litellm-copies-{environment.name}",
                env=cdk.Environment(account=environment.account, region=copies.region),
                tags=environment.tags,
                termination_protection=True,
            )


def check_config(own: Company, names: Sequence[str]) -> None:
    """Read config.yaml as each environment has it, so that all of its mistakes are told in one run.

    Raises
    ------
    ConfigError
        Each mistake in a line, with the environments that have it if the others do not.
    """
    mistakes: dict[str, list[str]] = {}
    for name in names:
        try:
            own.all[name].litellm_config(own.config)
        except ConfigError as error:
            for line in str(error).splitlines():
                mistakes.setdefault(line, []).append(name)
    if mistakes:
        raise ConfigError(
            "\n".join(
                line if len(having) == len(names) else f"{line.removesuffix('.')} (in {', '.join(having)})."
                for line, having in mistakes.items()
            )
        )


def promote(app: cdk.App, own: Company, stages: Mapping[str, EnvironmentStage]) -> None:
    """Add the stacks of what promotes releases; the pipeline takes them to those of `stages` that it is to.

    Without an image there is nothing to promote yet: `PipelineStack` says what becomes of that.
    """
    releases = own.releases
    if not releases:
        return
    common: dict[str, Any] = {
        "env": cdk.Environment(account=releases.account, region=releases.region),
        "tags": {"service": "litellm-gateway"},
    }
    accounts = frozenset(own.environments[name].account for name in releases.environments)
    images = ImageStack(app, "Image", stack_name="litellm-image", accounts=accounts, **common)
    if releases.connection_arn:
        if services := unknown(releases.region, PIPELINE):
            cdk.Annotations.of(images).add_warning_v2("litellm:region", told("releases", releases.region, services))
        PipelineStack(
            app,
            "Pipeline",
            stack_name="litellm-pipeline",
            releases=releases,
            repository=images.repository,
            stages=[stages[name] for name in releases.environments if name in stages],
            **common,
        )
    if releases.github_actions:
        github_stacks(app, releases, own.environments)


def apply_rules(app: cdk.App) -> None:
    """Have cdk-nag check every stack when the app is synthesized: a finding that nobody acknowledged fails it."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True))
    if app.node.try_get_context("packs"):
        cdk.Validations.of(app).add_plugins(NIST80053R5Checks(app), HIPAASecurityChecks(app), PCIDSS321Checks(app))


def what_is_invalid(error: RuntimeError) -> str:
    """What the CDK refuses: a line for each construct that is no valid one. Rules have printed their own report."""
    _, _, constructs = str(error).partition("Validation failed with the following errors:\n")
    if constructs:
        return re.sub(r"^ *\[(.+?)\] ", r"\1: ", constructs.rstrip(), flags=re.MULTILINE)
    return "the templates break the rules listed above: mend each, or acknowledge it with its reason"


def main() -> None:
    """Synthesize, or say what is wrong, each in a line."""
    app = cdk.App()
    try:
        build(app, company())
        apply_rules(app)
    except (SettingsError, ConfigError, BundlingError) as error:
        sys.exit(f"error: {error}")
    try:
        app.synth()
    except RuntimeError as error:
        # The trace of jsii's calls would push what is wrong out of sight.
        if "ValidationFailed" not in str(error):
            raise
        sys.exit(f"error: {what_is_invalid(error)}")


if __name__ == "__main__":
    main()
