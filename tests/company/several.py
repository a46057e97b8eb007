"""Synthesize the releases of several companies in one process, with every rule applied.

    python -m tests.company.several COMPANY… FOLDER

Each is written below FOLDER, in one of its company's name, with what breaks a rule in its report: what `app.py` does,
but for what a person is told.
"""

import sys
from pathlib import Path

import aws_cdk as cdk

import app
from stacks.company import load
from tests.company.synthesis import REPORT, context, image_of


def main(*arguments: str) -> None:
    """Synthesize each."""
    *companies, outdir = map(Path, arguments)
    for own in map(load, companies):
        place = outdir / own.folder.name
        one = cdk.App(outdir=str(place), context=context(image=image_of(own)))
        app.build(one, own)
        app.apply_rules(one)
        try:
            one.synth()
        except RuntimeError:
            if not (place / REPORT).is_file():
                raise


if __name__ == "__main__":
    main(*sys.argv[1:])
