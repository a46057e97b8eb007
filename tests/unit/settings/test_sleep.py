"""When an environment is awake: what the settings accept, what they refuse, and what follows."""

from typing import Any

import pytest
from pydantic import ValidationError

from stacks.company import local_of
from stacks.settings import Database, Network, Sleep
from tests.unit.settings.test_settings import NETWORK, environment


def test_an_office_sleeps_at_night_and_over_the_weekend() -> None:
    sleep = Sleep(awake="08:00-20:00", timezone="Asia/Tokyo")
    assert sleep.nights == {12 * 60: ("MON", "TUE", "WED", "THU"), 60 * 60: ("FRI",)}
    assert sleep.longest_night == 60 * 60
    assert sleep.told() == "08:00-20:00 Asia/Tokyo, MON, TUE, WED, THU, FRI"


@pytest.mark.parametrize(
    ("days", "nights"),
    [
        (("SUN",), {7 * 24 * 60 - 60: ("SUN",)}),
        (("TUE", "MON"), {23 * 60: ("MON",), (6 * 24 - 1) * 60: ("TUE",)}),
    ],
)
def test_a_night_ends_with_the_next_of_its_days(days: Any, nights: dict[int, Any]) -> None:  # noqa: ANN401
    assert Sleep(awake="00:00-01:00", days=days).nights == nights


def test_without_hours_nothing_happens_by_the_clock() -> None:
    assert (Sleep().longest_night, Sleep().told()) == (0, "by command")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"awake": "8-20"}, "'8-20' is no hours: write from when to when, as in 08:00-20:00"),
        ({"awake": "08:00-24:00"}, "'08:00-24:00' is no hours"),
        ({"awake": "20:00-08:00"}, "awake 20:00-08:00 is less than an hour of one day: name the earlier time first"),
        ({"awake": "08:00-08:59"}, "awake 08:00-08:59 is less than an hour of one day"),
        ({"days": ()}, "should have at least 1 item"),
        ({"days": ("MON", "MON")}, "a day is named twice (MON, MON): name each once"),
        ({"days": ("MONDAY",)}, "should be 'MON'"),
        ({"timezone": "Tokyo"}, "'Tokyo' is no time zone"),
    ],
)
def test_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Sleep(**given)
    assert sentence in str(refused.value)


def sleeping(**changes: Any) -> Any:  # noqa: ANN401 - any setting
    return environment(**{"sleep": Sleep(awake="08:00-20:00"), "deletion_protection": False} | changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"deletion_protection": True},
            "and deletion_protection is on, which is for one that they rely on: turn it off",
        ),
        ({"database": Database(reader=True)}, "and database.reader is on, which is for one that they rely on"),
        ({"network": Network(**NETWORK, nat_gateways=2)}, "and network.nat_gateways is above 1, which is for one"),
        ({"database": Database(min_capacity=1)}, "database.min_capacity is 1, and sleep has the database pause"),
    ],
)
def test_what_people_rely_on_does_not_sleep(changes: dict[str, Any], sentence: str) -> None:
    """Each of these is bought so that it answers at any time."""
    assert sleeping().sleep
    with pytest.raises(ValidationError) as refused:
        sleeping(**changes)
    assert sentence in str(refused.value)


def test_one_small_machine_is_no_way_out_of_what_people_rely_on() -> None:
    network = Network(**NETWORK, nat_instance=True)
    assert environment(network=network, deletion_protection=False).network.nat_instance
    with pytest.raises(
        ValidationError, match=r"network\.nat_instance is for an environment that people can do without"
    ):
        environment(network=network, deletion_protection=True)


def test_nobodys_machine_falls_asleep_by_the_clock() -> None:
    assert local_of(sleeping()).sleep == Sleep()
    assert local_of(environment()).sleep is None
