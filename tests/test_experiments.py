"""Every experiment: what the lesson shows does not do, different findings do, and guessing seldom does."""

import pkgutil
from importlib import import_module
from random import Random
from typing import Any

import pytest

import lessons_lib as ll
from lessons_lib.teach import exercises
from lessons_lib.teach.checks import check, exercise

pytestmark = pytest.mark.slow

NAMES = [
    f"{module.name}.{question}"
    for module in pkgutil.iter_modules(exercises.__path__)
    for question in getattr(import_module(f"lessons_lib.teach.exercises.{module.name}"), "EXPERIMENTS", {})
]
LESSONS = ["start", "feature_maps", "cam", "cam_without_gap", "gradcam", "gradcam_plus_plus", "family_and_layers"]
LESSONS += ["can_you_trust_it", "vision_transformer", "swin"]


def test_lessons_00_to_06_and_09_to_11_have_one_each() -> None:
    assert sorted(name.partition(".")[0] for name in NAMES if not name.startswith("explorer.")) == sorted(LESSONS)


def test_lesson_12_has_five() -> None:
    assert sum(name.startswith("explorer.") for name in NAMES) == 5


@pytest.mark.proof
@pytest.mark.parametrize("name", NAMES)
def test_the_example_does_not_do_and_different_findings_do(name: str) -> None:
    asked = exercise(name)
    shown = repr(check(name, asked.example))
    assert shown.startswith(f"{name}: not yet. ") and any(sign.isdigit() for sign in shown.partition("not yet")[2])
    found = [repr(check(name, one)) for one in asked.found]
    assert all(one.startswith(f"{name}: right. ") for one in found)
    assert len(set(found)) >= 2, "the findings are measured as one and the same"


@pytest.mark.proof
@pytest.mark.parametrize("name", NAMES)
def test_of_a_hundred_guesses_at_most_ten_do(name: str) -> None:
    random, asked = Random(0), exercise(name)
    verdicts = [check(name, lambda: asked.guess(random)) for _ in range(100)]
    assert len({one.says for one in verdicts}) > 8, "these are no hundred guesses"
    assert sum(map(bool, verdicts)) <= 10


@pytest.mark.parametrize("name", NAMES)
def test_a_stub_is_not_attempted_and_an_error_is_told(name: str) -> None:
    for attempt, says in (
        (lambda: ..., "not attempted"),
        (lambda: 1 / 0, "not yet. Your function raised ZeroDivisionError: division by zero"),
    ):
        verdict = check(name, attempt)
        assert not verdict and repr(verdict) == f"{name}: {says}"


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("start.rocket", None, 'Return a class: its name, as in "tiger cat", or its number.'),
        ("start.rocket", 0.5, 'Return a class: its name, as in "tiger cat", or its number.'),
        ("start.rocket", "mistle", "missile"),
        ("feature_maps.channel", 1280, "Return the number of a channel, from 0 to 1279."),
        ("feature_maps.channel", "549", "Return the number of a channel, from 0 to 1279."),
        ("cam.miss", 34, "Return a scene, as collage.scene(1) makes it."),
        ("cam.miss", ll.collage.scene(1, kinds=["rocket"]), 'Return a scene with 1 or more objects of the kind "cat".'),
        ("gradcam_plus_plus.violin", ll.collage.scene(1), 'with 3 or more objects of the kind "cat".'),
        ("gradcam.probability", True, "Return a class"),
        ("family_and_layers.misled", "blocks.4", 'Return a layer and a method, as in ("blocks.4", ll.gradcam).'),
        ("explorer.peak", "cat.jpg", 'Return a photo and what you found on it: `return ll.photos.cat(), "tiger cat"'),
        ("explorer.layer", (ll.photos.cat(), "blocks.4", "blocks.9"), "has no layer"),
        ("explorer.frame", (ll.photos.cat(), "tabby"), "Return a photo that `framed` made"),
        ("explorer.absent", (ll.Photo(ll.photos.cat().image), "tabby"), "Return a photo with a known outline"),
        ("family_and_layers.misled", ("blocks.9", ll.gradcam), "has no layer"),
        ("vision_transformer.rescued", ll.collage.scene(1), "Return a scene and a kind, as in (collage.scene(1), "),
        ("vision_transformer.rescued", (ll.collage.scene(6, kinds=["rocket"]), "rocket"), "return another kind"),
        ("swin.differ", (ll.collage.scene(1, kinds=["rocket"]), "cat"), 'objects of the kind "cat".'),
        ("can_you_trust_it.unmarked", 131, "Return a scene, as photos.shortcut_scene(0"),
        ("can_you_trust_it.unmarked", ll.collage.scene(1, kinds=["rocket"]), 'objects of the kind "cat".'),
        (
            "can_you_trust_it.unmarked",
            ll.photos.shortcut_scene(0, "mark", cat=True, planted=True),
            "There is a mark in this scene",
        ),
    ],
)
def test_what_is_no_answer_at_all_gets_a_sentence(name: str, answer: Any, said: str) -> None:
    verdict = check(name, lambda: answer)
    told = repr(verdict)
    assert not verdict and told.startswith(f"{name}: not yet. ") and said in told
