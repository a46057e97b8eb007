"""Draws an environment from its synthesized templates: `make diagram ENV=prod`, or all without ENV.

    python -m ops.diagram [--env NAME]

A company's pictures are in its folder, `company/architecture-NAME.svg`. Where there is no company, the picture of the
documentation is drawn, `docs/architecture.svg`: the example's prod. A test draws that again and compares.

Every box stands for resources of the templates, and every number in it is read from them. What they do not hold comes
from the company's settings and its config.yaml: the VPC that was there already, the providers, their regions and hosts.

Exit codes: 0 drawn; 2 a mistake in the settings, in one sentence.
"""

from __future__ import annotations

import argparse
import sys

from ops.access import environment_named, run
from ops.diagram import DRAWN, PICTURE, picture
from stacks import CHECKOUT
from stacks.company import EXAMPLE, company


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.diagram", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--env", metavar="NAME", help="an environment of company/environments.py; without it, all")
    name = parser.parse_args(argv).env

    def work() -> int:
        own = company()
        chosen = [environment_named(name).name] if name else list(own.environments)
        files = {each: own.folder / f"architecture-{each}.svg" for each in chosen}
        if own.folder == EXAMPLE and not name:
            files = {DRAWN: PICTURE}
        for each, file in files.items():
            file.write_text(picture(each), "utf-8")
            print(f"drawn: {file.relative_to(CHECKOUT)}")
        return 0

    return run("diagram", work)


if __name__ == "__main__":
    sys.exit(main())
