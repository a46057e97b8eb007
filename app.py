#!/usr/bin/env python3
"""The composition root: one stage per environment, checked by cdk-nag. Only here is context read."""

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from stacks.environments import environments
from stacks.gateway_stage import GatewayStage
from stacks.litellm_config import ConfigError
from stacks.python_function import BundlingError
from stacks.settings import SettingsError

DEPLOYED = ("dev", "stg", "prod")


def build(app: cdk.App) -> None:
    """Add the stage of each environment that the context names (`-c environments=dev,prod`), or of every deployed one.

    Raises
    ------
    SettingsError, ConfigError, BundlingError
        What a person has to mend, in one sentence.
    """
    known = environments()
    chosen = app.node.try_get_context("environments")
    for name in chosen.split(",") if chosen else DEPLOYED:
        if name not in known:
            raise SettingsError(f"there is no environment '{name}': stacks/environments.py has {', '.join(known)}")
        GatewayStage(app, environment=known[name])


def apply_rules(app: cdk.App) -> None:
    """Have cdk-nag check every stack when the app is synthesized: a finding that nobody acknowledged fails it."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True))


def main() -> None:
    """Synthesize, or say what is wrong in one sentence."""
    app = cdk.App()
    try:
        build(app)
        apply_rules(app)
    except (SettingsError, ConfigError, BundlingError) as error:
        sys.exit(f"error: {error}")
    try:
        app.synth()
    except RuntimeError as error:
        # The report has been printed; the trace of jsii's calls would push it out of sight.
        if "ValidationFailed" not in str(error):
            raise
        sys.exit("error: the templates break the rules listed above: mend each, or acknowledge it with its reason")


if __name__ == "__main__":
    main()
