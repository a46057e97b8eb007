"""The stacks of an environment and of what promotes releases: a package each, or a file where one is enough."""

from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[1]
"""The folder of the product: the commands of the Makefile run there."""
