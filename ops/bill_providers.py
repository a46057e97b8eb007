"""What the comparison of bills is given of the table of providers: `lambda/` imports nothing of `stacks/`."""

from __future__ import annotations

import json
from typing import Final

from stacks import CHECKOUT
from stacks.litellm_config import ROWS

FILE: Final = CHECKOUT / "lambda" / "usage" / "bill_providers.json"


def document() -> str:
    """The file, by the name of the row: the prefixes that LiteLLM counts under, its one host, and its bill."""
    rows = {}
    for row in ROWS:
        names = dict.fromkeys((*row.names, *row.priced_as))
        bill = row.bill and {name: value for name, value in row.bill._asdict().items() if value and name != "alarm"}
        rows[row.name] = {"names": list(names), "host": row.host, "bill": bill}
    return json.dumps(rows, indent=1) + "\n"
