"""What a load balancer makes of a request's URL before it sends it on, by the transforms of the rule that applied.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-transforms.html
"You can't modify the protocol or port of the URL, only the path and query string", "if there is no pattern match, the
original request is sent to the target". The page does not say whether the pattern is looked for in the path alone or in
the path with its query, nor what becomes of a URL of which only a part matches: a rule for which that would make a
difference is an error here. A transform of the host header is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any


def rewritten(transforms: Iterable[Mapping[str, Any]], path: str, query: str) -> tuple[str, str]:
    """Path and query that the target gets, both percent-encoded as they came.

    Raises
    ------
    NotImplementedError
        What the load balancer would do is not known.
    """
    for transform in transforms:
        if transform["Type"] != "url-rewrite":
            raise NotImplementedError(f"listener rule transform {transform['Type']}")
        for rewrite in transform["UrlRewriteConfig"]["Rewrites"]:
            path, query = _rewritten(rewrite["Regex"], rewrite["Replace"], path, query)
    return path, query


def _rewritten(regex: str, replace: str, path: str, query: str) -> tuple[str, str]:
    url = _joined(path, query)
    by_path = _joined(_replaced(regex, replace, path), query)
    if by_path != _replaced(regex, replace, url):
        raise NotImplementedError(f"a rewrite for which it matters whether {regex!r} sees the query of {url!r}")
    new_path, _, new_query = by_path.partition("?")
    return new_path, new_query


def _replaced(regex: str, replace: str, text: str) -> str:
    found = re.search(regex, text)
    if not found:
        return text
    if found[0] != text:
        raise NotImplementedError(f"a rewrite that matches only a part of {text!r}: {regex!r}")
    return found.expand(re.sub(r"\$(\d)", r"\\g<\1>", replace))


def _joined(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path
