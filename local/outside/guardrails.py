"""What a guardrail of Bedrock does to a text: ApplyGuardrail, by the definition that was deployed.

Sensitive information is masked as `{NAME}` or blocked. The regular expressions of a definition are asked as they are;
Bedrock's own kinds (PII entities) are found by a model there, and here by a form each that is plain enough to be sure
of: what a test or a person who tries it writes. Formats: the API reference of Bedrock Runtime, ApplyGuardrail.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import ceil
from typing import Final

from local.outside.exchange import ApiError
from local.outside.records import Json

Definition = Json
"""A guardrail as GetGuardrail answers it."""

BEYOND: Final = re.compile(r"\(\?(?!:)|\\[1-9kKGZz]|[+*?}]\+|\\u|\\p|\\Q|\(\?>")
"""What the regular expressions of a guardrail may not have. Lookaround is refused ("Remove PII from conversations by
using sensitive information filters"); which engine it is, and what else it takes, is not known: what engines without
lookaround do not have in common is refused too."""

UNIT: Final = 1000
"""Characters of a text unit, by which a guardrail is priced. https://aws.amazon.com/bedrock/pricing/"""

FOUND: Final = {
    "ADDRESS": re.compile(r"\b\d{1,5} [A-Z][a-z]+ (?:Street|St|Avenue|Ave|Road|Rd|Lane|Drive)\b"),
    "CREDIT_DEBIT_CARD_NUMBER": re.compile(r"\b\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b"),
    "EMAIL": re.compile(r"[\w.+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}", re.ASCII),
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}\b"),
    "NAME": re.compile(r"(?<=[Mm]y name is )[A-Z][a-z]+(?: [A-Z][a-z]+)?|[一-龠]{2,4}(?=さん|様)"),
    "PHONE": re.compile(r"(?:\+?1[ -])?\(?\d{3}\)?[ -]\d{3}-\d{4}\b"),
    "US_SOCIAL_SECURITY_NUMBER": re.compile(r"\b\d{3}-\d{2}-\d{4}\b"),
}
"""The kinds that are found here; of another one nothing is."""

_ACTIONS: Final = {"ANONYMIZE": "ANONYMIZED", "BLOCK": "BLOCKED", "NONE": "NONE"}


def regex(pattern: str) -> re.Pattern[str]:
    r"""A guardrail's regular expression as Python has it: \x{3012} is a character in Bedrock's way of writing.

    Raises
    ------
    ValueError
        It is none, or one that Bedrock is not known to take.
    """
    if found := BEYOND.search(pattern):
        raise ValueError(f"The regular expression has {found[0]!r}, which is not supported: {pattern}")
    try:
        return re.compile(re.sub(r"\\x\{([0-9A-Fa-f]{4})\}", r"\\u\1", pattern))
    except re.error as error:
        raise ValueError(f"The regular expression is not valid ({error}): {pattern}") from error


def apply(definition: Definition, body: Json) -> Json:
    """What ApplyGuardrail answers to a request.

    Raises
    ------
    ApiError
        The request is none.
    """
    source, content = body.get("source"), body.get("content")
    if source not in ("INPUT", "OUTPUT") or not isinstance(content, list) or not content:
        raise ApiError(400, message="source must be INPUT or OUTPUT, and content a list of what to look at.")
    texts = [str(item["text"]["text"]) for item in content if isinstance(item, dict) and "text" in item]
    if len(texts) != len(content) or not all(texts):
        raise ApiError(400, message="The simulated guardrail looks at texts, and none may be empty.")
    masked, found = zip(*(_masked(definition, text, source) for text in texts), strict=True)
    assessments = [each for of_text in found for each in of_text]
    acted = [each for each in assessments if each["action"] != "NONE"]
    blocked = any(each["action"] == "BLOCKED" for each in acted)
    message = definition["blockedInputMessaging" if source == "INPUT" else "blockedOutputsMessaging"]
    entities = [each for each in assessments if "type" in each]
    policy = definition.get("sensitiveInformationPolicy") or {}
    units = sum(ceil(len(text) / UNIT) for text in texts)
    return {
        "usage": {
            **dict.fromkeys(("topicPolicyUnits", "contentPolicyUnits", "wordPolicyUnits"), 0),
            "sensitiveInformationPolicyUnits": units if policy.get("piiEntities") else 0,
            "sensitiveInformationPolicyFreeUnits": units if policy.get("regexes") else 0,
            "contextualGroundingPolicyUnits": 0,
        },
        "action": "GUARDRAIL_INTERVENED" if acted else "NONE",
        "outputs": [] if not acted else [{"text": message}] if blocked else [{"text": text} for text in masked],
        "assessments": [
            {
                "sensitiveInformationPolicy": {
                    "piiEntities": entities,
                    "regexes": [each for each in assessments if "type" not in each],
                }
            }
        ]
        if assessments
        else [],
    }


def _masked(definition: Definition, text: str, source: str) -> tuple[str, list[Json]]:
    """A text with what is to be masked masked, and what was found in it."""
    found: list[Json] = []
    for named, pattern, rule in _rules(definition):
        side = "input" if source == "INPUT" else "output"
        if rule.get(f"{side}Enabled") is False:
            continue
        action = _ACTIONS[rule.get(f"{side}Action") or rule["action"]]
        found += [{**named, "match": match[0], "action": action, "detected": True} for match in pattern.finditer(text)]
        if action == "ANONYMIZED":
            text = pattern.sub(f"{{{named.get('type') or named['name']}}}", text)
    return text, found


def _rules(definition: Definition) -> Iterator[tuple[Json, re.Pattern[str], Json]]:
    """How an assessment names each rule, what it finds, and the rule itself."""
    policy = definition.get("sensitiveInformationPolicy") or {}
    for rule in policy.get("regexes", ()):
        yield {"name": rule["name"], "regex": rule["pattern"]}, regex(rule["pattern"]), rule
    for rule in policy.get("piiEntities", ()):
        if rule["type"] in FOUND:
            yield {"type": rule["type"]}, FOUND[rule["type"]], rule
