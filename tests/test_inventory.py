"""The concept inventory: twelve questions, each wrong option is what one known mistake gives, and the page says so."""

import re

import pytest

from tools.classroom.inventory import ITEMS, PAGE, Item, page


def test_there_are_twelve_and_the_page_is_what_the_code_writes() -> None:
    assert len(ITEMS) == len({item.exercise for item in ITEMS}) == 12
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tools.classroom.inventory"


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.exercise)
def test_four_options_differ_and_three_of_them_are_mistakes(item: Item) -> None:
    options = item.options()
    assert len(options) == 4
    assert sorted(bool(sentence) for sentence in options.values()) == [False, True, True, True]


def test_the_right_answers_are_not_all_in_one_place() -> None:
    places = [list(item.options().values()).index("") for item in ITEMS]
    assert {0, 1, 2} <= {*places}
    assert max(map(places.count, places)) <= 7


def test_the_key_names_the_right_letter_and_each_mistake() -> None:
    key = re.findall(r"^\| (\d+) \(`([\w.]+)`\) \| ([A-D]) \| ([A-D]) \| (.+) \|$", page(), re.MULTILINE)
    assert len(key) == 36
    for number, name, right, wrong, sentence in key:
        options = ITEMS[int(number) - 1].options()
        assert name == ITEMS[int(number) - 1].exercise
        assert list(options.values())["ABCD".index(right)] == ""
        assert list(options.values())["ABCD".index(wrong)] == sentence
