"""What the simulated guardrail makes of texts, by the definition that the stack deploys."""

from typing import Any

import pytest

from local.outside import guardrails
from local.outside.exchange import ApiError
from stacks.gateway.personal_data import MASKED
from stacks.settings.bedrock import KINDS

DEFINITION: dict[str, Any] = {
    "blockedInputMessaging": "blocked",
    "blockedOutputsMessaging": "blocked too",
    "sensitiveInformationPolicy": {
        "piiEntities": [{"type": each, "action": "ANONYMIZE"} for kind in KINDS for each in MASKED[kind].entities],
        "regexes": [
            {"name": name, "pattern": pattern, "action": "ANONYMIZE"}
            for kind in KINDS
            for name, pattern in MASKED[kind].regexes.items()
        ],
    },
}


def masked(text: str) -> str:
    answer = guardrails.apply(DEFINITION, {"source": "INPUT", "content": [{"text": {"text": text}}]})
    return str(answer["outputs"][0]["text"]) if answer["outputs"] else text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("氏名:山田 太郎", "{JAPANESE_NAME}"),
        ("お名前: Taro Yamada、東京", "{JAPANESE_NAME}、東京"),
        ("山田様へ", "{NAME}様へ"),
        ("My name is Taro Yamada.", "My name is {NAME}."),
        ("〒100-0001です", "{JAPANESE_POSTAL_CODE}です"),
        ("100-0001 東京都千代田区千代田1丁目1番2号", "{JAPANESE_ADDRESS}"),
        ("神奈川県横浜市中区本町6-50-10に送る", "{JAPANESE_ADDRESS}に送る"),
        ("12 Baker Street", "{ADDRESS}"),
        ("電話03-1234-5678", "電話{JAPANESE_PHONE}"),
        ("０３－１２３４－５６７８", "{JAPANESE_PHONE}"),  # noqa: RUF001 - as wide as a kanji
        ("+81 3-1234-5678", "{JAPANESE_PHONE}"),
        ("0123-45-6789", "{JAPANESE_PHONE}"),
        ("090-1234-5678", "{JAPANESE_MOBILE_PHONE}"),
        ("tel 09012345678", "tel {JAPANESE_MOBILE_PHONE}"),
        ("0120-123-456", "{JAPANESE_MOBILE_PHONE}"),
        ("call 415-555-0132", "call {PHONE}"),
        ("taro@example.co.jp に送る", "{EMAIL} に送る"),
        ("4111 1111 1111 1111", "{MY_NUMBER}"),
        ("マイナンバー: 123456789012", "{MY_NUMBER}"),
        ("1234-5678-9012", "{MY_NUMBER}"),
        ("078-05-1120", "{US_SOCIAL_SECURITY_NUMBER}"),
        ("普通預金 1234567", "{JAPANESE_BANK_ACCOUNT}"),
        ("旅券番号 TR1234567", "{JAPANESE_PASSPORT}"),
        ("passport number TR1234567", "{JAPANESE_PASSPORT}"),
        ("運転免許証番号:第123456789012号", "{JAPANESE_DRIVER_LICENSE}号"),
        ("在留カードAB12345678CD", "在留カード{JAPANESE_RESIDENCE_CARD}"),
    ],
)
def test_personal_data_is_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-28",
        "04-12-2026",
        "version 1.106.12",
        "10.0.0.1:4000",
        "1709012345678",  # milliseconds, with the digits of a phone inside
        "order 1234567",
        "def name(self) -> str:",
        "東京都の人口は1400万人",
        "お客様各位",
        "commit 7ffcf8c0123456",
        "123e4567-e89b-12d3-a456-426614174000",
    ],
)
def test_what_looks_like_it_stays(text: str) -> None:
    assert masked(text) == text


def test_bedrocks_rules_for_regular_expressions_are_kept() -> None:
    patterns = {name: pattern for kind in KINDS for name, pattern in MASKED[kind].regexes.items()}
    assert len(patterns) <= 10
    assert {name for name, pattern in patterns.items() if len(pattern) > 500 or not pattern.isascii()} == set()
    assert all(guardrails.regex(pattern) for pattern in patterns.values())


def test_each_text_has_its_own_output_and_units_are_counted() -> None:
    content = [{"text": {"text": text}} for text in ("a" * 1001, "taro@example.com")]
    answer = guardrails.apply(DEFINITION, {"source": "OUTPUT", "content": content})
    assert answer["action"] == "GUARDRAIL_INTERVENED"
    assert [each["text"] for each in answer["outputs"]] == ["a" * 1001, "{EMAIL}"]
    assert answer["usage"]["sensitiveInformationPolicyUnits"] == 3


def test_a_blocked_text_is_the_message_and_one_without_findings_stays() -> None:
    rule = {"type": "EMAIL", "action": "BLOCK"}
    definition = DEFINITION | {"sensitiveInformationPolicy": {"piiEntities": [rule]}}
    content = [{"text": {"text": "taro@example.com"}}]
    answer = guardrails.apply(definition, {"source": "INPUT", "content": content})
    assert answer["outputs"] == [{"text": "blocked"}]
    only_answers = rule | {"inputEnabled": False}
    definition = DEFINITION | {"sensitiveInformationPolicy": {"piiEntities": [only_answers]}}
    assert guardrails.apply(definition, {"source": "INPUT", "content": content})["action"] == "NONE"


@pytest.mark.parametrize(
    "body", [{}, {"source": "INPUT", "content": []}, {"source": "INPUT", "content": [{"image": {}}]}]
)
def test_what_is_no_request_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ApiError):
        guardrails.apply(DEFINITION, body)


@pytest.mark.parametrize("pattern", ["(?=a)", "(?<!a)b", "(a)\\1", "a++", "\\p{Han}", "\\u3042"])
def test_what_engines_do_not_have_in_common_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="not supported"):
        guardrails.regex(pattern)
