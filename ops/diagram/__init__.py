"""The picture of an environment, as SVG, from its synthesized templates: `make diagram`. `__main__` has the command.

`contents` is what is drawn: cards and words, each from the templates or the settings. `drawing` is where: it sets them
out on the columns of `layout` and joins them with arrows. `cards` and `words` are what it sets, and `svg` how that is
written.
"""

from __future__ import annotations

from typing import Final

from ops.diagram.drawing import draw
from ops.templates import synthesize
from stacks import CHECKOUT
from stacks.company import config_file, environments

PICTURE: Final = CHECKOUT / "docs" / "architecture.svg"
DRAWN: Final = "prod"
"""The example's environment in the documentation."""


def picture(name: str) -> str:
    """The picture of an environment of the company in force."""
    environment = environments()[name]
    config = environment.litellm_config(config_file())
    return draw(environment, config, synthesize(name))
