"""What a prompt's words tell the simulated model to ask for."""

import pytest

from local.outside.told import Event, Told, Turn

TWO = 'Call the tool Read with {"path": "/a b", "deep": {"x": [1]}}, then call the tool mcp__x-y.z.'


def turn(*events: Event) -> Told | None:
    return Turn.of(events).next_call()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("Say hello.", None),
        ("Please use the tool.", Told()),
        (TWO, Told("Read", {"path": "/a b", "deep": {"x": [1]}})),
        ("call the tool weather, please", Told("weather")),
        ("call the tool weather with nothing", Told("weather")),
        ("use the tool, or call the tool weather", Told("weather")),
    ],
)
def test_what_words_ask_for(words: str, told: Told | None) -> None:
    assert turn(("asked", words)) == told


def test_several_are_called_one_after_the_other() -> None:
    first: list[Event] = [("asked", TWO), ("called", ""), ("result", "one")]
    assert turn(*first) == Told("mcp__x-y.z")
    assert turn(*first, ("called", ""), ("result", "two")) is None
    assert Turn.of(first).results == ("one",)


def test_a_reminder_beside_the_prompt_or_a_result_changes_nothing() -> None:
    events: list[Event] = [("asked", "Reminder."), ("asked", TWO), ("called", ""), ("result", "one"), ("asked", "Hm.")]
    assert turn(*events) == Told("mcp__x-y.z")


def test_only_this_turn_counts() -> None:
    before: list[Event] = [("asked", TWO), ("called", ""), ("result", "one"), ("called", ""), ("result", "two")]
    assert Turn.of([*before, ("answered", "")]) == Turn()
    assert Turn.of([*before, ("answered", ""), ("asked", "And?")]) == Turn("And?")


@pytest.mark.parametrize("given", ['{"path": ', "{path: 1}"])
def test_arguments_that_are_no_json_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="Read is to be called with is not a JSON object"):
        turn(("asked", f"call the tool Read with {given}"))
