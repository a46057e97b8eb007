"""entrypoint.sh's variables, searched: the command gets them as they are, or one sentence says what is wrong.

What a process can be given: any text without a zero byte. No value is ever printed.
"""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.searched import searched
from tests.unit.container import test_entrypoint as known
from tests.unit.container.test_entrypoint import ENVIRONMENT, Image, refused, run, seen

busybox, image = known.busybox, known.image

SECRET = "the-marker-of-a-secret"
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
HOSTILE = st.sampled_from(
    (
        *(
            "$(exit 3)",
            "`exit 3`",
            "'",
            '"',
            "\\",
            "-n",
            "--",
            "%",
            "%%s",
            "*",
            "~",
            "\n",
            " ",
            "a b",
            "\n-n\n",
            "=",
            "&",
        ),
        *(
            "sk-",
            "sk-\n",
            "5432\n",
            "5432\nx",
            "litellm\n/",
            "db\n.internal",
            '{"type": 1}',
            "{",
            "[" * 50_000,
            "é",
            "🔑",
        ),
    )
)
NUMBERS = ("PORT", "DATABASE_PORT")
NAMES = ("DATABASE_NAME", "DATABASE_HOST")


@pytest.mark.parametrize("image", ["this machine's tools", "BusyBox"], indirect=True)
@searched(15, 5_000)
@example(name="DATABASE_PORT", value="5432\n")
@example(name="DATABASE_HOST", value="db.internal\n@evil.example.com")
@example(name="DATABASE_NAME", value="litellm\n?sslmode=disable")
@example(name="LITELLM_MASTER_KEY", value="sk-x\n")
@example(name="VERTEX_CREDENTIALS", value="[" * 50_000)
@example(name="DATABASE_CA_FILE", value="-x")
@example(name="HOME", value="-x")
@given(name=st.sampled_from((*ENVIRONMENT, "DATABASE_CA_FILE")), value=st.one_of(HOSTILE, VALUES))
def test_a_variable_is_taken_as_it_is_or_refused_in_a_sentence(image: Image, name: str, value: str) -> None:
    planted = f"{value}{SECRET}" if name.endswith(("PASSWORD", "KEY", "CREDENTIALS")) else value
    result = run(image, **{name: planted})
    if result.returncode:
        assert SECRET not in refused(result)
        return
    command = seen(result)
    if name == "DATABASE_PASSWORD":
        assert name not in command
    elif name in command:
        assert command[name] == planted
    url = urlsplit(command["DATABASE_URL"])
    assert (url.scheme, url.hostname) == ("postgresql", (ENVIRONMENT | {name: planted})["DATABASE_HOST"].lower())
    assert unquote(url.password or "") == (ENVIRONMENT | {name: planted})["DATABASE_PASSWORD"]
    assert unquote(url.username or "") == (ENVIRONMENT | {name: planted})["DATABASE_USERNAME"]
    assert url.path == f"/{(ENVIRONMENT | {name: planted})['DATABASE_NAME']}"
    assert "sslmode=verify-full" in url.query.split("&")
    assert "\n" not in command["DATABASE_URL"]
