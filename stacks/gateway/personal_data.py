r"""What the guardrail of `bedrock.personal_data` masks: Bedrock's own kinds of personal data, and forms used in Japan.

Bedrock finds its own kinds (PII entities) by a model, in English and in Japanese among others ("Languages supported by
Amazon Bedrock Guardrails", sensitive information filters). What is of Japan alone it has no kind for: those are regular
expressions, and so are Japanese phone numbers and addresses, whose form decides. A tier need not be chosen: content
filters and denied topics have tiers, this filter has none ("Safeguard tiers for guardrails policies"), so that no text
leaves the region.

The rules for regular expressions (API reference, GuardrailRegexConfig and
GuardrailSensitiveInformationPolicyConfig; "Remove PII from conversations by using sensitive information filters"): at
most ten, of at most 500 characters, without lookaround. They are written in what engines without lookaround have in
common, and with a template's ASCII: \x{3012} stands for a character. What is not told by its form alone needs its
label before it, as in "passport number TR1234567", or a version or an order number would be masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from aws_cdk import aws_bedrock as bedrock

from stacks.settings.bedrock import Kind

_D: Final = r"[0-9\x{FF10}-\x{FF19}]"  # also as wide as a kanji
_BLANK: Final = r"[ \x{3000}]"
_HYPHEN: Final = r"[-\x{2212}\x{30FC}\x{FF0D}]"
_ABROAD: Final = r"\+81[- ]?"
_COLON: Final = r"[:\x{FF1A}]"
_SPACED: Final = rf"{_BLANK}*"
_JAPANESE: Final = r"[\x{3005}-\x{9FA0}]"  # a kanji, or a letter of kana
_END: Final = r"\s\x{3000}-\x{3002}\x{FF0C}"  # in a class: white space, the Japanese comma and full stop


def _text(words: str) -> str:
    """Words of Japanese in a template's ASCII."""
    return "".join(letter if letter.isascii() else rf"\x{{{ord(letter):04X}}}" for letter in words)


def _labelled(labels: str, form: str) -> str:
    """A form after one of the labels, with or without a colon."""
    return rf"(?:{_text(labels)}){_SPACED}{_COLON}?{_SPACED}{form}"


_PREFECTURES: Final = _text("東京都|北海道|京都府|大阪府|") + rf"[{_text('一-龠')}]{{2,3}}{_text('県')}"
_POSTAL: Final = rf"{_D}{{3}}{_HYPHEN}?{_D}{{4}}"


class Masked(NamedTuple):
    """How one kind of personal data is found."""

    entities: tuple[str, ...] = ()  # of Bedrock
    regexes: Mapping[str, str] = {}  # by the name that stands in its place


MASKED: Final[Mapping[Kind, Masked]] = {
    "name": Masked(
        ("NAME",),
        {
            "JAPANESE_NAME": rf"(?:{_text('氏名|お名前|名前|フリガナ|ふりがな')}){_SPACED}{_COLON}{_SPACED}"
            rf"[^{_END}]{{1,20}}(?:{_BLANK}[^{_END}]{{1,20}})?"
        },
    ),
    "address": Masked(
        ("ADDRESS",),
        {
            "JAPANESE_POSTAL_CODE": rf"(?:{_text('〒|郵便番号')}){_SPACED}{_COLON}?{_SPACED}{_POSTAL}",
            # A number after the name of a prefecture and of a town, so that a sentence about a prefecture stays.
            "JAPANESE_ADDRESS": rf"(?:{_POSTAL}{_SPACED})?(?:{_PREFECTURES}){_JAPANESE}{{1,15}}[{_text('市区町村郡')}]"
            rf"{_JAPANESE}{{0,20}}{_D}{{1,4}}(?:(?:{_text('丁目|番地|番|号|の')}|{_HYPHEN}){_D}{{0,4}}){{0,4}}",
        },
    ),
    "phone": Masked(
        ("PHONE",),
        {
            # Ten digits in three groups, as in 03-1234-5678 or 0123-45-6789: a date has eight.
            "JAPANESE_PHONE": rf"(?:{_ABROAD}|[0\x{{FF10}}])(?:{_D}{_HYPHEN}{_D}{{4}}|{_D}{{2}}{_HYPHEN}{_D}{{3}}"
            rf"|{_D}{{3}}{_HYPHEN}{_D}{{2}}|{_D}{{4}}{_HYPHEN}{_D}){_HYPHEN}{_D}{{4}}",
            # Without hyphens it stands by itself: a time in milliseconds may have the same digits inside.
            "JAPANESE_MOBILE_PHONE": rf"(?:{_ABROAD}|[0\x{{FF10}}])[5789\x{{FF15}}\x{{FF17}}-\x{{FF19}}][0\x{{FF10}}]"
            rf"{_HYPHEN}{_D}{{4}}{_HYPHEN}{_D}{{4}}|\b0[5789]0[0-9]{{8}}\b"
            rf"|0(?:120|800){_HYPHEN}{_D}{{3}}{_HYPHEN}{_D}{{3,4}}",
        },
    ),
    "email": Masked(("EMAIL",)),
    "card": Masked(("CREDIT_DEBIT_CARD_NUMBER", "CREDIT_DEBIT_CARD_CVV", "CREDIT_DEBIT_CARD_EXPIRY")),
    "bank_account": Masked(
        ("INTERNATIONAL_BANK_ACCOUNT_NUMBER", "SWIFT_CODE", "US_BANK_ACCOUNT_NUMBER", "US_BANK_ROUTING_NUMBER"),
        {"JAPANESE_BANK_ACCOUNT": _labelled("普通|当座|口座番号", rf"(?:{_text('預金')})?{_SPACED}{_D}{{7}}")},
    ),
    "national_id": Masked(
        (
            *("US_SOCIAL_SECURITY_NUMBER", "US_INDIVIDUAL_TAX_IDENTIFICATION_NUMBER", "UK_NATIONAL_INSURANCE_NUMBER"),
            *("UK_UNIQUE_TAXPAYER_REFERENCE_NUMBER", "UK_NATIONAL_HEALTH_SERVICE_NUMBER"),
            *("CA_SOCIAL_INSURANCE_NUMBER", "CA_HEALTH_NUMBER"),
        ),
        {  # in three groups of four, or after its name
            "MY_NUMBER": _labelled("マイナンバー|個人番号", rf"{_D}{{12}}")
            + rf"|{_D}{{4}}(?:{_HYPHEN}|{_BLANK}){_D}{{4}}(?:{_HYPHEN}|{_BLANK}){_D}{{4}}"
            # and the rest of a card's number, whose first twelve digits look the same
            rf"(?:(?:{_HYPHEN}|{_BLANK}){_D}{{1,4}})?"
        },
    ),
    "passport": Masked(
        ("US_PASSPORT_NUMBER",),
        {
            "JAPANESE_PASSPORT": rf"(?:{_text('パスポート|旅券')}|[Pp]assport)(?:{_text('番号')}| number| no\.?)?"
            rf"{_SPACED}{_COLON}?{_SPACED}[A-Z]{{2}}{_D}{{7}}"
        },
    ),
    "driver_license": Masked(
        ("DRIVER_ID", "LICENSE_PLATE"),
        {
            "JAPANESE_DRIVER_LICENSE": _labelled(
                "運転免許証番号|運転免許証|免許証番号|免許番号", rf"(?:{_text('第')})?{_D}{{12}}"
            )
        },
    ),
    "residence_card": Masked((), {"JAPANESE_RESIDENCE_CARD": rf"[A-Z]{{2}}{_D}{{8}}[A-Z]{{2}}"}),
}
"""By the kinds of the setting."""


def policy(kinds: Iterable[Kind]) -> bedrock.CfnGuardrail.SensitiveInformationPolicyConfigProperty:
    """The guardrail's policy for these kinds: all of it is masked, in prompts and in answers."""
    chosen = [MASKED[kind] for kind in MASKED if kind in set(kinds)]
    entities = [
        bedrock.CfnGuardrail.PiiEntityConfigProperty(type=entity, action="ANONYMIZE")
        for masked in chosen
        for entity in masked.entities
    ]
    regexes = [
        bedrock.CfnGuardrail.RegexConfigProperty(name=name, pattern=pattern, action="ANONYMIZE")
        for masked in chosen
        for name, pattern in masked.regexes.items()
    ]
    # Neither list may be there and empty.
    return bedrock.CfnGuardrail.SensitiveInformationPolicyConfigProperty(
        pii_entities_config=entities or None, regexes_config=regexes or None
    )
