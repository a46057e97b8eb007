"""A table of a page whose words are written by hand, and whose figures come from the code."""

import pytest

from ops.access import OpsError
from ops.docs import filled

PAGE = "\n".join(["Of it", "", "| What | dev |", "| --- | --- |", "| Gateways | 1 |", "| Sum | 9 |", "", "And so on"])


def test_the_last_cells_are_the_codes() -> None:
    assert filled(PAGE, ("dev",), [["45"], ["60"]], 0) == PAGE.replace("| 1 |", "| 45 |").replace("| 9 |", "| 60 |")


@pytest.mark.parametrize("figures", [[["45"]], [["45"], ["3"], ["60"]]])
def test_no_figure_stands_beside_anothers_words(figures: list[list[str]]) -> None:
    with pytest.raises(OpsError, match=f"has 2 rows, and there are {len(figures)}"):
        filled(PAGE, ("dev",), figures, 0)
