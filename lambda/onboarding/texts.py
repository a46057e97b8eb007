"""Every sentence that people read, in English and Japanese.

`say` writes to one person, in the language of their Slack; `say_both` to a channel, where both are read. The lines of
the audit channel are in English only.
"""

# ruff: noqa: E501, RUF001 - Japanese is wider on the page than its characters are many, and has its own brackets

from __future__ import annotations

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        # What becomes of a request, told to the one who asked.
        "created": "An LLM gateway account for {who} is ready. The invitation is in their mailbox; its link is valid "
        "until {until}.",
        "reopened": "The LLM gateway account of {who} is open again. A new invitation is in their mailbox, valid until "
        "{until}. Keys from before stay blocked: please make new ones.",
        "exists": "{who} has an LLM gateway account already. Please sign in at {url}/ui/.",
        "exists_mailed": "{who} has an LLM gateway account already, whose invitation was never used. A fresh link is in "
        "their mailbox, valid until {until}.",
        "exists_recent": "{who} has an LLM gateway account already. The invitation was mailed at {at}: please look into "
        "the mailbox, the spam folder too, and ask again after 15 minutes if it has not come.",
        "exists_budget": "{who} has an LLM gateway account already. Its budget is now {budget} US dollars.",
        "pending": "A budget of {budget} US dollars has to be approved. The approvers have been asked, and you will hear "
        "from me as soon as they have decided.",
        "denied": "The LLM gateway account for {who} with a budget of {budget} US dollars was not approved by {by}. "
        "Please talk to them, or ask for up to {default} US dollars, which needs no approval.",
        "kept": "The gateway cannot be reached at the moment. Your request is kept and goes on by itself; you need not "
        "ask again.",
        "failed": "The LLM gateway account for {who} could not be made, and nothing was left half-made. Please ask again "
        "later, or tell the administrators this number: {id}",
        "failed_mail": "The LLM gateway account for {who} could not be made: the invitation could not be mailed to the "
        "address in their Slack profile. Please have the address checked, or tell the administrators this number: {id}",
        # Refusals.
        "refused_unknown": "Slack does not know this person here. Please choose a member of this workspace.",
        "refused_deleted": "{who} is deactivated in Slack, so there is no account for them.",
        "refused_bot": "{who} is an app or a bot. LLM gateway accounts are for people.",
        "refused_elsewhere": "{who} belongs to another Slack workspace. LLM gateway accounts are for members of this one.",
        "refused_guest": "{who} is a guest in Slack. LLM gateway accounts are for full members.",
        "refused_invited": "{who} has not accepted the invitation to Slack yet. Please ask again afterwards.",
        "refused_no_email": "The Slack profile of {who} has no mail address. Please add one and ask again.",
        "refused_domain": "The mail address in the Slack profile of {who} is not a company address. Please change it to "
        "one of: {domains}.",
        "refused_team": "There is no team of that name. Please choose one of: {teams}.",
        "refused_purpose": "Please state the purpose in 1 to {limit} characters.",
        "refused_budget": "The budget must be above 0 and at most {ceiling} US dollars.",
        "refused_approval": "A budget above {default} US dollars is not given here. Please ask again with less, or "
        "leave it empty.",
        "refused_closed": "The LLM gateway account of {who} was closed by an administrator. Please ask them.",
        # The approvers' message and what its buttons answer.
        "approval": "{group} {requester} asks for an LLM gateway account for {who} (team {team}) with a budget of "
        "{budget} US dollars. The default is {default}.",
        "purpose": "Purpose: {purpose}",
        "approve": "Approve",
        "deny": "Deny",
        "approved": "Approved by {by}: an LLM gateway account for {who} (team {team}) with a budget of {budget} US "
        "dollars, asked for by {requester}.",
        "not_approved": "Denied by {by}: an LLM gateway account for {who} (team {team}) with a budget of {budget} US "
        "dollars, asked for by {requester}.",
        "no_approver": "Only members of the approvers' group can decide on this.",
        "own_request": "You asked for this account or it is for you, so another approver has to decide.",
        "decided": "{by} has decided on this already.",
        # The mail.
        "mail_subject": "Your invitation to the LLM gateway",
        "mail_greeting": "Your account on the company's LLM gateway is ready.",
        "mail_action": "Open the link, choose a password, and make your own API key under “Virtual Keys”.",
        "mail_button": "Choose a password",
        "mail_until": "The link is for you alone and works once, until {until}.",
        "mail_again": "Has it expired? Ask for the account in Slack again, and you will get a fresh link.",
        "mail_reason": "You get this mail because the account was asked for in Slack. If you do not expect it, ignore it "
        "and tell the administrators.",
    },
    "ja": {
        "created": "{who} さんの LLM ゲートウェイのアカウントを作成しました。招待メールをお送りしています。"
        "リンクの有効期限は {until} です。",
        "reopened": "{who} さんの LLM ゲートウェイのアカウントを再開しました。新しい招待メールをお送りしています"
        "（有効期限 {until}）。以前のキーは無効のままですので、新しく作成してください。",
        "exists": "{who} さんの LLM ゲートウェイのアカウントはすでにあります。{url}/ui/ からサインインしてください。",
        "exists_mailed": "{who} さんのアカウントはすでにありますが、招待がまだ使われていません。"
        "新しいリンクをメールでお送りしました（有効期限 {until}）。",
        "exists_recent": "{who} さんのアカウントはすでにあります。招待メールは {at} にお送りしました。"
        "迷惑メールフォルダもご確認のうえ、届いていなければ 15 分後にもう一度お申し込みください。",
        "exists_budget": "{who} さんのアカウントはすでにあります。予算を {budget} 米ドルに変更しました。",
        "pending": "予算 {budget} 米ドルには承認が必要です。承認者に依頼しましたので、結果が出しだいお知らせします。",
        "denied": "{who} さんの LLM ゲートウェイのアカウント（予算 {budget} 米ドル）は、{by} さんに承認されませんでした。"
        "{by} さんにご相談いただくか、承認のいらない {default} 米ドル以下でお申し込みください。",
        "kept": "ただいまゲートウェイに接続できません。お申し込みはお預かりしており、自動的に処理を続けます。"
        "もう一度お申し込みいただく必要はありません。",
        "failed": "{who} さんの LLM ゲートウェイのアカウントを作成できませんでした。作りかけのものは残っていません。"
        "時間をおいてもう一度お申し込みいただくか、次の番号を管理者にお知らせください: {id}",
        "failed_mail": "{who} さんの LLM ゲートウェイのアカウントを作成できませんでした。Slack プロフィールのメールアドレスに"
        "招待メールを送れませんでした。アドレスをご確認いただくか、次の番号を管理者にお知らせください: {id}",
        "refused_unknown": "この方は Slack で見つかりませんでした。このワークスペースのメンバーを選んでください。",
        "refused_deleted": "{who} さんの Slack アカウントは停止されているため、アカウントを作成できません。",
        "refused_bot": "{who} はアプリまたはボットです。LLM ゲートウェイのアカウントは人にのみ発行しています。",
        "refused_elsewhere": "{who} さんは別の Slack ワークスペースの方です。このワークスペースのメンバーにのみ発行しています。",
        "refused_guest": "{who} さんは Slack のゲストです。LLM ゲートウェイのアカウントは正式なメンバーにのみ発行しています。",
        "refused_invited": "{who} さんはまだ Slack への招待を承諾していません。承諾後にもう一度お申し込みください。",
        "refused_no_email": "{who} さんの Slack プロフィールにメールアドレスがありません。登録後にもう一度お申し込みください。",
        "refused_domain": "{who} さんの Slack プロフィールのメールアドレスは会社のものではありません。"
        "次のいずれかに変更してください: {domains}",
        "refused_team": "その名前のチームはありません。次の中から選んでください: {teams}",
        "refused_purpose": "利用目的を 1 文字以上 {limit} 文字以内で入力してください。",
        "refused_budget": "予算は 0 より大きく {ceiling} 米ドル以下で指定してください。",
        "refused_approval": "{default} 米ドルを超える予算は設定できません。金額を下げるか、空欄のままでもう一度お申し込みください。",
        "refused_closed": "{who} さんの LLM ゲートウェイのアカウントは管理者が停止しています。管理者にお問い合わせください。",
        "approval": "{group} {requester} さんから、{who} さん（チーム {team}）の LLM ゲートウェイのアカウントの申し込みが"
        "ありました。希望の予算は {budget} 米ドルです（標準は {default} 米ドル）。",
        "purpose": "利用目的: {purpose}",
        "approve": "承認",
        "deny": "却下",
        "approved": "{by} さんが承認しました: {who} さん（チーム {team}）のアカウント、予算 {budget} 米ドル、"
        "申し込み {requester} さん",
        "not_approved": "{by} さんが却下しました: {who} さん（チーム {team}）のアカウント、予算 {budget} 米ドル、"
        "申し込み {requester} さん",
        "no_approver": "この申し込みは承認者グループのメンバーだけが決定できます。",
        "own_request": "ご自身の申し込み、またはご自身のアカウントのため、ほかの承認者が決定する必要があります。",
        "decided": "この申し込みはすでに {by} さんが決定しています。",
        "mail_subject": "LLM ゲートウェイへのご招待",
        "mail_greeting": "社内 LLM ゲートウェイのアカウントをご用意しました。",
        "mail_action": "次のリンクを開いてパスワードを設定し、「Virtual Keys」でご自身の API キーを作成してください。",
        "mail_button": "パスワードを設定する",
        "mail_until": "このリンクはご本人専用で、{until} まで一度だけ使えます。",
        "mail_again": "期限が切れた場合は、Slack からもう一度お申し込みください。新しいリンクをお送りします。",
        "mail_reason": "このメールは、Slack でアカウントの申し込みがあったためお送りしています。お心当たりがない場合は、"
        "リンクを開かずに管理者へお知らせください。",
    },
}


def say(key: str, language: str, **values: object) -> str:
    """Return a sentence in `ja` or `en`."""
    return TEXTS[language][key].format(**values)


def say_both(key: str, **values: object) -> str:
    """Return a sentence in both languages, Japanese first."""
    return "\n".join(say(key, language, **values) for language in ("ja", "en"))


def say_short(key: str) -> str:
    """Return a button's label in both languages."""
    return " / ".join(say(key, language) for language in ("ja", "en"))


def mention(user: str) -> str:
    """Return a Slack user as Slack shows one by name in a message."""
    return f"<@{user}>"


def plain(text: str) -> str:
    """Return people's own words so that Slack takes nothing in them for a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
