"""`docs/commands.md`: what there is to call, from the Makefile. `make docs` writes it, and the same in Japanese.

What a target does stands behind its `##`; whether it is of one environment its recipe tells.
"""

# ruff: noqa: E501, RUF001 - Japanese is wider on the page than its characters are many, and has its own brackets

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ops.access import OpsError
from stacks import CHECKOUT

MAKEFILE: Final = CHECKOUT / "Makefile"
PAGE: Final = CHECKOUT / "docs" / "commands.md"
JAPANESE_PAGE: Final = CHECKOUT / "docs" / "commands.ja.md"

_RULE: Final = re.compile(
    r"^(?P<targets>[a-z0-9-]+(?: [a-z0-9-]+)*):[^#\n]*## (?P<what>.+)\n(?P<recipe>(?:\t.*\n)*)", re.M
)


class Command(NamedTuple):
    """The targets of one rule, what they do, and whether an environment has to be named."""

    targets: tuple[str, ...]
    what: str
    needs_environment: bool

    @property
    def calls(self) -> str:
        """How it is called, as code."""
        behind = " ENV=dev" if self.needs_environment else ""
        return ", ".join(f"`make {target}{behind}`" for target in self.targets)


JAPANESE: Final[Mapping[str, str]] = {
    "help": "コマンドの一覧を表示する",
    "setup": "すべてをチェックアウトの中にインストールする",
    "init": '自社について必要なことを尋ね、自社の 2 つのファイルを書く。再度実行すると、答え直したものだけを変える。`ARGS="--answers FILE"` でファイルから答え、`ARGS=--dry-run` で変更点だけを表示する',
    "import": 'ほかで動いている LiteLLM を引き継ぐ: `FILE=config.yaml` とその周辺（`ARGS="--around docker-compose.yaml"`）から自社のファイルと報告を書く。`ARGS=--dry-run` で報告だけを表示する',
    "up": "ゲートウェイ全体をこのマシンにデプロイして実行する（Ctrl-C で終了）",
    "down": "`make up` で動いているものを終了し、アカウントとデータベースを削除する",
    "test": "変更に対するすべての検査: lint、見本の会社での製品のスイート、自社のスイート",
    "check": "変更に関わるものだけの、短時間の検査: lint、unit、templates と、自社のファイルから作られるもの",
    "company": "自社のスイート: 自社のファイルから作られるテンプレートと、実行したときの動作",
    "unit": "製品のテストスイートを 1 つだけ実行する",
    "others": "見本以外のもの: ほかの会社のファイルとゲートウェイ、3 つの環境を通るリリース",
    "test-clients": "`docs/clients.md` の設定どおりに、実際のコーディングエージェントでゲートウェイを試す",
    "nightly": "時間のかかる e2e テスト: 負荷をかけたままの障害、リクエストが届く先、Valkey を共有する 3 つのタスク",
    "soak": "負荷をかけたまま障害を無作為に起こし（`MINUTES=2`）、最後に帳簿を照合する。`SEED=1` は同じ障害をもう一度起こす",
    "lint": "ruff、mypy、shellcheck、hadolint、actionlint、zizmor",
    "format": "Python ファイルを整形する",
    "snapshots": "現在のテンプレートを正として記録する",
    "stateful": "データを持つリソースの増減を受け入れる。先に何が失われるかを表示し、`ARGS=--accept` で受け入れる",
    "diagram": "自社の環境の図を `company/` に描く。会社がなければ `docs/architecture.svg` を描く",
    "docs": "文書のうち、コードから導かれる表を書き出す",
    "about": "自社に固有のものを表示する: 環境、費用、アドレス、モデル、シークレット、アラーム",
    "cost": "ENV の 1 か月の費用を、待機時と利用時に分けて表示する。`ARGS=--guidance` で AWS のゲートウェイと並べる",
    "size": "`USERS=500` 人に必要な環境の大きさ、その 1 日の様子、費用を表示する",
    "synth": "全環境のテンプレートを `cdk.out` に書き出す",
    "diff": "デプロイで何が変わるか、そのうち人の承認が必要なものは何かを表示する",
    "secrets": "シークレットを一覧表示し、足りないものを生成または入力する",
    "clients": '環境のゲートウェイを使うツールに設定するものを表示する。`ARGS="--directory DIR"` でファイルを書き出す',
    "slack-manifest": "Slack アプリのマニフェストを表示する。Slack に貼り付けて使う",
    "usage": "誰がどのモデルを何トークン使い、いくらかかったかを表示する。期間は `FROM=2026-11-01 TO=2026-11-30`",
    "deploy": "デプロイして動作を確かめ、応答しなければ元に戻す",
    "wake": "スリープしている環境を起こし、応答するまで待つ",
    "sleep": "スリープする設定の環境を眠らせる。起こすまで、または設定した時刻まで、タスクは動かない",
    "smoke": "デプロイ済みのゲートウェイを確かめる: 稼働、バージョン、サインイン画面、各プロバイダー、費用の記録",
    "doctor": "アカウントを検査する: ブートストラップ、クォータ、モデル、ゾーン、メール、シークレット。問題ごとに対処を示す",
    "drift": "CloudFormation を通さずに変更されたものを表示する",
    "restore": "データベースを戻す。`TO=2026-11-24T03:00:00Z` でその時点へ、`REGION=…` で別リージョンにあるコピーから。`ARGS=--rehearse` は試すだけで、使用中のものには触れない",
    "copies": "環境のデータベースのコピーを置くものを、第二のリージョンにデプロイする。`database.copies` をデプロイする前に一度だけ行う",
    "destroy": "環境を削除し、意図して残すものを一覧表示する",
    "pipeline": "リリースを進めるものを、リリース用アカウントにデプロイする",
    "bench": "コールドスタートのインポート、関数のパッケージ、synth を測り、目標と比べる",
    "bench-gateway": "1 リクエストの CPU 時間、遅延、メモリを、LiteLLM の他の設定と並べて測る。`ARGS=--quick` は短い試行、`ARGS=--write` は結果を docs/performance.md に残す",
    "audit": "すべてのロックファイルについて既知の脆弱性を調べ、checkov でテンプレートを検査する。`ARGS=packages` または `ARGS=templates` で一方だけを行う",
    "lock": "依存関係を解決し直す: requirements.txt、local/litellm.txt、package-lock.json",
    "clean": "コマンドが作ったものを削除する（`make up` のデータベースは残す）",
}
"""What a rule does, by its first target."""

_ENGLISH_HEAD: Final = """\
# Commands

`make docs` writes this page from the [Makefile](../Makefile). 日本語版は \
[commands.ja.md](commands.ja.md) にあります。

`ENV` is an environment of yours; without it, `dev` is meant, or all environments where the command speaks of several. \
`ARGS` goes to the command as it stands: `make diff ENV=dev ARGS=--full`.

| Command | What it does |
| --- | --- |
"""
_JAPANESE_HEAD: Final = """\
# コマンド

このページは `make docs` が [Makefile](../Makefile) から書き出します。English: \
[commands.md](commands.md)

`ENV` は自社の環境です。指定しない場合は `dev`、複数の環境を扱うコマンドではすべての環境が対象になります。`ARGS` は\
そのままコマンドに渡されます: `make diff ENV=dev ARGS=--full`

| コマンド | 内容 |
| --- | --- |
"""


def commands(makefile: Path = MAKEFILE) -> Iterator[Command]:
    """The rules that say what they do, in the Makefile's order."""
    for rule in _RULE.finditer(makefile.read_text("utf-8")):
        recipe = rule["recipe"]
        yield Command(tuple(rule["targets"].split()), rule["what"].strip(), "$(ENV)" in recipe)


def documents() -> dict[Path, str]:
    """Both pages.

    Raises
    ------
    OpsError
        A target is not said in Japanese, or one that is there no more.
    """
    found = list(commands())
    firsts = {command.targets[0] for command in found}
    if firsts != JAPANESE.keys():
        names = ", ".join(sorted(firsts ^ JAPANESE.keys()))
        raise OpsError(f"JAPANESE of ops/commands_reference.py is to have the Makefile's targets: see {names}")
    english = "".join(f"| {command.calls} | {command.what} |\n" for command in found)
    japanese = "".join(f"| {command.calls} | {JAPANESE[command.targets[0]]} |\n" for command in found)
    return {PAGE: _ENGLISH_HEAD + english, JAPANESE_PAGE: _JAPANESE_HEAD + japanese}
