"""Numbers as people write them."""

import pytest

from ops.numbers import written


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1_000_000.0, "1000000"),
        (1234567.5, "1234567.5"),
        (200, "200"),
        (0.5, "0.5"),
        (1e-7, "0.0000001"),
        (3e22, "30000000000000000000000"),
        (0.0, "0"),
    ],
)
def test_has_no_exponent(number: float, text: str) -> None:
    assert written(number) == text
