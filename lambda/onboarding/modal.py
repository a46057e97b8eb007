"""The modal of the slash command, and all that the receiver says to people, in English and Japanese."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from onboarding.environment import Settings
from onboarding.form import PURPOSE_LENGTH, highest_budget

CALLBACK_ID = "request_account"


@dataclass(frozen=True, kw_only=True)
class Texts:
    """One language's texts. Slack cuts none: a title and a button have 24 characters at most, a label 2,000."""

    title: str
    submit: str
    cancel: str
    close: str
    who: str
    team: str
    purpose: str
    max_budget: str
    budget_hint: str
    who_unknown: str
    team_unknown: str
    purpose_empty: str
    purpose_long: str
    budget_wrong: str
    received: str
    busy: str
    not_opened: str


TEXTS = {
    "en": Texts(
        title="LLM gateway account",
        submit="Request",
        cancel="Cancel",
        close="Close",
        who="Who is it for?",
        team="Team",
        purpose="What is it for?",
        max_budget="Budget (US dollars)",
        budget_hint="Leave it empty for the default of ${default}; at most ${highest}.",
        who_unknown="Who the account is for must be one person of this workspace: choose a Slack user.",
        team_unknown="The team must be one of: {teams}.",
        purpose_empty="The purpose is empty: write in a few words what the account is for.",
        purpose_long="The purpose is too long: write at most {length} characters.",
        budget_wrong="The budget must be a number above 0 and at most {highest} US dollars, or empty.",
        received="Your request has been received. You will get a direct message when it has been worked on.",
        busy="The request could not be taken just now: please try again in a minute.",
        not_opened="If no form has opened just now, please type the command again.",
    ),
    "ja": Texts(
        title="LLMゲートウェイのアカウント",
        submit="申請する",
        cancel="キャンセル",
        close="閉じる",
        who="利用者",
        team="チーム",
        purpose="利用目的",
        max_budget="予算 (米ドル)",
        budget_hint="空欄の場合は標準の{default}ドル、上限は{highest}ドルです。",
        who_unknown="利用者には、このワークスペースのSlackユーザーを1人選んでください。",
        team_unknown="チームは次のいずれかにしてください: {teams}。",
        purpose_empty="利用目的が空欄です。何に使うかを簡単に書いてください。",
        purpose_long="利用目的が長すぎます。{length}文字以内で書いてください。",
        budget_wrong="予算は0より大きく{highest}ドル以下の数にするか、空欄にしてください。",
        received="申請を受け付けました。処理が終わるとダイレクトメッセージでお知らせします。",
        busy="ただいま申請を受け付けられませんでした。1分ほどしてからもう一度お試しください。",
        not_opened="フォームが開かなかった場合は、もう一度コマンドを入力してください。",
    ),
}


def language(locale: object) -> str:
    """The language, of those in TEXTS, for Slack's locale (ja-JP, en-GB, …)."""
    name = locale.split("-")[0] if isinstance(locale, str) else ""
    return name if name in TEXTS else "en"


def sentences(problems: Mapping[str, str], lang: str, settings: Settings) -> dict[str, str]:
    """What to tell the person about each field with a problem, as form.FormError names them."""
    highest = number(highest_budget(settings))
    values = {"teams": ", ".join(settings.teams), "length": PURPOSE_LENGTH, "highest": highest}
    return {field: str(getattr(TEXTS[lang], problem)).format(**values) for field, problem in problems.items()}


def number(amount: float) -> str:
    """A number as Slack takes it for the bounds of a number_input: a text of digits and a point, without an exponent.

    https://docs.slack.dev/reference/block-kit/block-elements/number-input-element
    """
    text = f"{Decimal(str(amount)):f}"
    return text.rstrip("0").removesuffix(".") if "." in text else text


def form_view(asker: str, lang: str, settings: Settings) -> dict[str, Any]:
    """The form, for views.open. Each block and its element have the field's name as id."""
    texts, highest = TEXTS[lang], highest_budget(settings)
    teams = [{"text": _plain(name), "value": name} for name in settings.teams]
    budget = {"type": "number_input", "is_decimal_allowed": True, "min_value": "0.01", "max_value": number(highest)}
    hint = texts.budget_hint.format(default=number(settings.max_budget), highest=number(highest))
    purpose = {"type": "plain_text_input", "multiline": True, "max_length": PURPOSE_LENGTH}
    return {
        "type": "modal",
        "callback_id": CALLBACK_ID,
        "private_metadata": lang,
        "title": _plain(texts.title),
        "submit": _plain(texts.submit),
        "close": _plain(texts.cancel),
        "blocks": [
            _input("who", texts.who, {"type": "users_select", "initial_user": asker}),
            _input("team", texts.team, {"type": "static_select", "options": teams}),
            _input("purpose", texts.purpose, purpose),
            _input("max_budget", texts.max_budget, budget) | {"optional": True, "hint": _plain(hint)},
        ],
    }


def received_view(lang: str) -> dict[str, Any]:
    """What replaces the form once it has been taken."""
    texts = TEXTS[lang]
    section = {"type": "section", "text": _plain(texts.received)}
    return {"type": "modal", "title": _plain(texts.title), "close": _plain(texts.close), "blocks": [section]}


def answers(view: Mapping[str, Any]) -> dict[str, object]:
    """The form's answers in a submitted view.

    Raises
    ------
    ValueError
        The view has no state of a form.
    """
    try:
        values = view["state"]["values"]
        option = values["team"]["team"]["selected_option"]
        return {
            "who": values["who"]["who"]["selected_user"],
            "team": option["value"] if option else None,
            "purpose": values["purpose"]["purpose"]["value"],
            "max_budget": values["max_budget"]["max_budget"]["value"],
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"the view has no state of the form ({type(error).__name__})") from error


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def _input(field: str, label: str, element: dict[str, Any]) -> dict[str, Any]:
    return {"type": "input", "block_id": field, "label": _plain(label), "element": element | {"action_id": field}}
