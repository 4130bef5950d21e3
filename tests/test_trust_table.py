"""The table of lesson 11: measured again in part, and in the form that the lesson reads."""

import numpy as np
import pytest

from lessons_lib import metrics
from lessons_lib.metrics.side_by_side import faithful, localised
from tools.recipes import trust

pytestmark = pytest.mark.slow

LOCALISED = ("peak", "share", "luck", "iou")
FAITHFUL, SANE = ("deletion", "insertion", "road", "drop"), ("forgets", "swap", "noise")


@pytest.mark.parametrize("name", trust.MEASURED)
def test_the_stored_table_holds_a_number_for_each_question(name: str) -> None:
    table, what = metrics.stored(f"trust_{name}"), trust.MEASURED[name]
    assert list(table) == [*what.quick, *what.slow]
    seen = len(table["edges"]["share"])  # the detector does not find every object that is asked about
    assert seen == trust.SCENES or (name == "detector" and seen > 0.95 * trust.SCENES)
    for method, columns in table.items():
        count = seen if method in what.quick else trust.SLOW
        few = trust.FEW if method in what.quick else trust.FEW // 2
        assert [len(columns[column]) for column in LOCALISED] == [count] * 4
        assert [len(columns[column]) for column in (*FAITHFUL, *SANE)] == [few] * 7
        assert all(np.isfinite(values).all() for values in columns.values())
        assert columns["luck"][: trust.SLOW] == table["edges"]["luck"][: trust.SLOW]  # the same scenes for all


@pytest.mark.parametrize("name", trust.MEASURED)
def test_the_control_is_caught_by_the_stored_table(name: str) -> None:
    edges = metrics.stored(f"trust_{name}")["edges"]
    assert np.mean(edges["forgets"]) > 0.999 and np.mean(edges["swap"]) > 0.999
    assert np.mean(edges["share"]) < 2 * np.mean(edges["luck"])


@pytest.mark.proof
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("vit", "gradcam"),
        ("vit", "edges"),
        ("vit", "attention rollout"),
        ("vit", "relevance"),
        ("classifier", "gradcam"),
        ("detector", "hirescam"),
        ("segmenter", "gradcam"),
    ],
)
def test_the_first_scenes_measured_again(name: str, method: str) -> None:
    what = trust.MEASURED[name]
    model = what.model()
    asked = trust.questions(what, model, (what.scenes.scene(index) for index in range(25)))
    assert len(asked) >= 20
    make, stored = what.quick[method], metrics.stored(f"trust_{name}")[method]
    found = localised(model, asked, make)
    for column in LOCALISED:
        again, then = np.array(found[column]), np.array(stored[column][: len(asked)])
        assert (np.abs(again - then) < 0.02).mean() >= 0.9  # a tie of two cells may go the other way elsewhere
        assert again.mean() == pytest.approx(then.mean(), abs=0.05)
    for column, values in faithful(model, asked[:2], make).items():
        assert values == pytest.approx(stored[column][:2], abs=0.02)
