"""Numbers as people write them."""

from decimal import Decimal


def written(number: float) -> str:
    """A number without an exponent, and without a fraction where it has none: 1000000, 0.5.

    Python's own short form (`:g`) makes 1e+06 of a million, which neither a person nor the AWS CLI takes for one.
    """
    text = f"{Decimal(str(number)):f}"
    return text.rstrip("0").removesuffix(".") if "." in text else text
