"""Everything that a company's files are synthesized to, as it is deployed and as the rules see it."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import cx_api

import app
from ops import remembered
from ops.assembly import Template
from ops.templates import KIND
from stacks import CHECKOUT
from stacks.company import RELEASES, Company

# The package of the functions is not put together: its hash, and so the template, is the same.
WITHOUT_BUNDLING = {"aws:cdk:bundling-stacks": list[str]()}
Templates = dict[str, dict[str, Template]]
"""By environment and stack."""


def context(**more: str) -> dict[str, Any]:
    """The context of cdk.json, without putting the functions' package together."""
    given: dict[str, Any] = json.loads((CHECKOUT / "cdk.json").read_text())["context"]
    return given | WITHOUT_BUNDLING | more


def image_of(own: Company) -> str:
    """A release's image, as a build hands it to the synthesis."""
    account, region = (own.releases.account, own.releases.region) if own.releases else ("4" * 12, "us-east-1")
    return f"{account}.dkr.ecr.{region}.amazonaws.com/litellm-gateway@sha256:{'0123456789abcdef' * 4}"


def by_stack(assembly: cx_api.CloudAssembly) -> dict[str, Template]:
    """The assembly's templates, by the last part of the stack's id."""
    return {stack.hierarchical_id.rsplit("/", 1)[-1]: stack.template for stack in assembly.stacks}


def synthesized(own: Company) -> Templates:
    """The templates of every environment, the local one included, each of which builds its own image."""
    made: Templates = {}

    def make(name: str) -> dict[str, Template]:
        if not made:  # all together: what a process begins with takes longer than an environment
            cdk_app = cdk.App(context=context(environments=",".join(own.all)))
            app.build(cdk_app, own)
            assembly = cdk_app.synth()
            made.update((one, by_stack(assembly.get_nested_assembly(f"assembly-{one}"))) for one in own.all)
        return made[name]

    return {
        name: remembered.document(KIND, remembered.digest(own, name), functools.partial(make, name)) for name in own.all
    }


def promoting(own: Company) -> dict[str, Template]:
    """The templates of what promotes releases, by stack, as a build with an image synthesizes them."""

    def make() -> dict[str, Template]:
        cdk_app = cdk.App(context=context(image=image_of(own)))
        app.build(cdk_app, own)
        return by_stack(cdk_app.synth())

    if not own.releases:
        return {}
    found: dict[str, Template] = remembered.document(KIND, remembered.digest(own, RELEASES), make)
    return found


def everything(own: Company) -> Templates:
    """The templates of every environment, and of what promotes releases."""
    releases = promoting(own)
    return synthesized(own) | ({RELEASES: releases} if releases else {})


def run_app(own: Company, outdir: Path, **more: str) -> None:
    """Synthesize as the CDK CLI does, in a process of its own, with every rule applied; no network, no credentials."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(outdir),
        "CDK_OUTDIR": str(outdir),
        "CDK_CONTEXT_JSON": json.dumps(context(**more)),
        "COMPANY": own.name,
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": os.environ["JSII_RUNTIME_PACKAGE_CACHE_ROOT"],
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    }
    run = subprocess.run(
        [sys.executable, "app.py"], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
