"""What the page says around the blocks, in two languages. Code, names and figures are the same in both."""

# ruff: noqa: E501, RUF001 - Japanese is wider on the page than its characters are many, and has its own brackets

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Language = Literal["en", "ja"]

HEAD: Final[Mapping[Language, str]] = {
    "en": """\
# Clients

For everyone who uses the gateway with a coding agent, a command line or an SDK. `make docs` writes this page from `ops/clients/`, for the example's `prod`; `make clients ENV=prod` prints the same for an environment of yours, with its address and its models, and `ARGS="--directory DIR"` writes the files. 日本語版は [clients.ja.md](clients.ja.md) にあります。

How to get an account is in [Your account](people/account.md); which models there are, in [models](models.md).

""",
    "ja": """\
# クライアント

コーディングエージェント、コマンドライン、SDK からゲートウェイを使う人のためのページです。このページは `make docs` が `ops/clients/` から、例の環境 `prod` について書き出します。`make clients ENV=prod` は、自社の環境のアドレスとモデルで同じものを表示し、`ARGS="--directory DIR"` はファイルを書き出します。English: [clients.md](clients.md)

アカウントの取得方法は[アカウント](people/account.ja.md)に、使えるモデルは[モデル](models.ja.md)にあります。

""",
}

KEY: Final[Mapping[Language, str]] = {
    "en": "Every tool takes your key from one variable. Make the key in the admin UI under Virtual Keys, and put it where your shell reads it (`~/.zshrc`, or your company's password manager):",
    "ja": "どのツールも、キーを 1 つの変数から受け取ります。キーは管理画面の Virtual Keys で作り、シェルが読む場所（`~/.zshrc`、または会社のパスワードマネージャー）に置いてください:",
}
KEY_TITLE: Final[Mapping[Language, str]] = {"en": "Your key", "ja": "キー"}

NOTES: Final[Mapping[str, Mapping[Language, str]]] = {
    "claude-code": {
        "en": "For everybody on a machine, by an administrator; on macOS it is `/Library/Application Support/ClaudeCode/managed-settings.json`, and the same in `~/.claude/settings.json` is for you alone. `opus`, `sonnet` and `haiku` in `/model` then mean the gateway's models; `haiku` also does the small things. No Claude account is needed.",
        "ja": "管理者が、そのマシンの全員のために置きます。macOS では `/Library/Application Support/ClaudeCode/managed-settings.json` です。同じ内容を `~/.claude/settings.json` に置けば、自分だけに効きます。`/model` の `opus`、`sonnet`、`haiku` はゲートウェイのモデルを指すようになり、`haiku` は細かな処理にも使われます。Claude のアカウントは要りません。",
    },
    "codex": {
        "en": "It speaks the Responses API over HTTP; a provider of one's own is never called by WebSocket, and long conversations are compacted by an ordinary prompt. No ChatGPT account is needed.",
        "ja": "Responses API を HTTP で使います。自分で定義したプロバイダーには WebSocket を使わず、長い会話の圧縮も通常のプロンプトで行います。ChatGPT のアカウントは要りません。",
    },
    "gemini-cli": {
        "en": 'Without `selectedType` it asks for a sign-in, and ends with "Invalid auth method selected" where nobody can answer. Small things it asks of models of its own choice: see the names below.',
        "ja": "`selectedType` がないとサインインを求め、答える人がいない場所では「Invalid auth method selected」で終わります。細かな処理は、自分で選んだモデルに依頼します。下の名前の表を参照してください。",
    },
    "opencode": {
        "en": "Claude's models go by Anthropic's format, in which OpenCode has the prompt cached.",
        "ja": "Claude のモデルは Anthropic の形式で呼びます。この形式では OpenCode がプロンプトをキャッシュさせます。",
    },
    "aider": {
        "en": "It gives the models names of its own, with `openai/` before the gateway's.",
        "ja": "モデル名には、ゲートウェイの名前の前に `openai/` を付けます。",
    },
    "llm": {
        "en": "On macOS the file is in `~/Library/Application Support/io.datasette.llm/`.",
        "ja": "macOS では、ファイルは `~/Library/Application Support/io.datasette.llm/` に置きます。",
    },
    "openai-sdk": {
        "en": "Any model of the gateway answers, by the Responses API as by `client.chat.completions`. Frameworks that are built on it read the same variables.",
        "ja": "ゲートウェイのどのモデルも、Responses API でも `client.chat.completions` でも答えます。この SDK を使うフレームワークも同じ変数を読みます。",
    },
    "anthropic-sdk": {
        "en": 'Any model of the gateway answers. Claude keeps what you mark: `"cache_control": {"type": "ephemeral"}` at the end of what repeats (tools, system prompt, a long document) makes its next reading cost a tenth or less.',
        "ja": 'ゲートウェイのどのモデルも答えます。Claude がキャッシュするのは指定した部分だけです。繰り返す部分（ツール、システムプロンプト、長い文書）の終わりに `"cache_control": {"type": "ephemeral"}` を付けると、次に読む費用は 10 分の 1 以下になります。',
    },
    "google-sdk": {
        "en": "Any model of the gateway answers. `embed_content` is not served (405): use OpenAI's SDK for embeddings. `models.list()` is empty, as the gateway lists its models in OpenAI's and Anthropic's format only.",
        "ja": "ゲートウェイのどのモデルも答えます。`embed_content` には対応していません（405）。埋め込みには OpenAI の SDK を使ってください。ゲートウェイのモデル一覧は OpenAI と Anthropic の形式だけなので、`models.list()` は空になります。",
    },
    "curl": {
        "en": "The second line lists the models that your key may use.",
        "ja": "2 行目は、自分のキーで使えるモデルを一覧表示します。",
    },
}

LACKS: Final[Mapping[Language, str]] = {
    "en": "Not here: it is made for models of {maker}, and config.yaml lists none.",
    "ja": "この環境では使えません。{maker} のモデル用のツールですが、config.yaml に {maker} のモデルがありません。",
}
MAKERS: Final[Mapping[str, str]] = {"claude": "Claude", "gpt": "GPT", "gemini": "Gemini"}

ALIASES_TITLE: Final[Mapping[Language, str]] = {
    "en": "Names that tools have built in",
    "ja": "ツールに組み込まれた名前",
}
ALIASES: Final[Mapping[Language, str]] = {
    "en": "A tool that is not told a model asks for one by a name of its own, and some ask for a smaller one beside yours. These names lead to models of the gateway, and are answered by them (`model_group_alias` in config.yaml). The weekly report and `make usage` count under the model's own name; in Datadog `model` is the name that was asked for, and `deployment` what answered. A key must be allowed either name. Any other name is refused with 400, in a sentence that says where the names are.",
    "ja": "モデルを指定されていないツールは、組み込みの名前でモデルを求めます。また、指定したモデルのほかに小さなモデルを求めるツールもあります。次の名前はゲートウェイのモデルにつながり、そのモデルが答えます（config.yaml の `model_group_alias`）。週次レポートと `make usage` はモデル自身の名前で数えます。Datadog では `model` が求められた名前、`deployment` が答えたものです。キーには、どちらかの名前が許可されている必要があります。それ以外の名前は 400 で断り、名前の調べ方を文で示します。",
}
ALIASES_HEAD: Final[Mapping[Language, str]] = {"en": "| Name | Model |", "ja": "| 名前 | モデル |"}
