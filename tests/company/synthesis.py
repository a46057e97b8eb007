"""Everything that a company's files are synthesized to, as it is deployed and as the rules see it.

The CDK is imported by what synthesizes: it starts Node, of which nothing is needed where all is remembered.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops import remembered
from ops.assembly import Assembly, Template
from ops.templates import KIND
from stacks import CHECKOUT
from stacks.company import EXAMPLE, RELEASES, Company, load

if TYPE_CHECKING:
    from aws_cdk import cx_api

# The package of the functions is not put together: its hash, and so the template, is the same.
WITHOUT_BUNDLING = {"aws:cdk:bundling-stacks": list[str]()}
REPORT = "validation-report.json"
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


def synthesized(own: Company, *chosen: str) -> Templates:
    """The templates of the chosen environments, each of which builds its own image; of all, the local one included, if
    none is named.
    """
    names, made = chosen or (*own.all,), Templates()

    def make(name: str) -> dict[str, Template]:
        if not made:  # all together: what a process begins with takes longer than an environment
            import aws_cdk as cdk

            import app

            cdk_app = cdk.App(context=context(environments=",".join(names)))
            app.build(cdk_app, own)
            assembly = cdk_app.synth()
            made.update((one, by_stack(assembly.get_nested_assembly(f"assembly-{one}"))) for one in names)
        return made[name]

    with remembered.turn(KIND, remembered.digest(own)):
        return {
            name: remembered.document(KIND, remembered.digest(own, name), functools.partial(make, name))
            for name in names
        }


def released(own: Company) -> Templates:
    """The templates that a build with an image synthesizes: of every deployed environment, and of what promotes it."""
    return written(as_release(own))


def written(folder: Path) -> Templates:
    """The templates in a folder of `as_release`."""
    found = Templates()
    for each in Assembly.load(folder).artifacts:
        environment, _, stack = each.id.rpartition("/")
        found.setdefault(environment or RELEASES, {})[stack] = each.template()
    return found


def promoting(own: Company) -> dict[str, Template]:
    """The templates of what is no environment's, by stack, as a build with an image synthesizes them: what promotes
    releases, and what is in second regions.
    """
    if not own.releases and not any(each.database.copies for each in own.environments.values()):
        return {}
    found: dict[str, Template] = remembered.document(
        KIND, remembered.digest(own, RELEASES), lambda: released(own).get(RELEASES, {})
    )
    return found


def everything(own: Company) -> Templates:
    """The templates of every environment, and of what promotes releases."""
    releases = promoting(own)
    return synthesized(own) | ({RELEASES: releases} if releases else {})


def as_release(own: Company) -> Path:
    """The folder of what a build with an image synthesizes, with every rule applied: see `checked`.

    The example's has the findings of cdk-nag's other packs too, which take hardly more of a synthesis that is made
    anyway: `tests/templates/test_findings.py`.
    """
    return checked(own, image=image_of(own), **({"packs": "yes"} if own.folder == EXAMPLE else {}))


def releases(folders: Sequence[Path]) -> Path:
    """A folder of `as_release` for each company whose folder is named, by that one's name.

    One process makes them: what it takes until it synthesizes is more than most companies do.
    """
    companies = [load(folder) for folder in folders]
    keys = [remembered.digest(own, own.name) for own in companies]
    key = remembered.digest_of(*keys, remembered.text_of("tests/company/synthesis.py", "tests/company/several.py"))
    command = ("-m", "tests.company.several", *(own.name for own in companies))
    return remembered.folder("rules", key, lambda outdir: _run(outdir, *command, str(outdir)))


def checked(own: Company, **more: str) -> Path:
    """The folder that `app.py` wrote with this context, with every rule applied, offline and without credentials.

    What breaks a rule is in its `validation-report.json`. The folder is for reading.
    """
    key = remembered.digest(own, own.name, json.dumps(more), remembered.text_of("tests/company/synthesis.py"))
    return remembered.folder("rules", key, lambda outdir: run_app(own, outdir, **more))


def run_app(own: Company, outdir: Path, **more: str) -> None:
    """Synthesize as the CDK CLI does, in a process of its own, with every rule applied; no network, no credentials."""
    given = {"CDK_OUTDIR": str(outdir), "CDK_CONTEXT_JSON": json.dumps(context(**more)), "COMPANY": own.name}
    _run(outdir, str(CHECKOUT / "app.py"), **given)


def _run(outdir: Path, *arguments: str, **variables: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(outdir),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": os.environ["JSII_RUNTIME_PACKAGE_CACHE_ROOT"],
        "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        **variables,
    }
    command = [sys.executable, *arguments]
    run = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    # Whoever breaks a rule has everything written all the same, and the report of it.
    assert run.returncode == 0 or (outdir / REPORT).is_file(), run.stdout + run.stderr
