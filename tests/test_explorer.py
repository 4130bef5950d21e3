"""The explorer without a browser: words, picture and code agree, nothing stale is shown, and it can be called off."""

import base64
import ctypes
import gc
import io
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import lessons_lib as ll
from lessons_lib.core.engine import calling
from lessons_lib.photos import files
from lessons_lib.teach.explorer import choices, opening, question, uploads
from lessons_lib.teach.explorer.explorer import UPLOADED
from lessons_lib.teach.explorer.question import Named, Question, code, drawn
from tests.heavy import but_proofs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent

CNN, SEGMENTER, DETECTOR = "plain CNN, for collages", "segmenter, for collages", "detector, for collages"
COLLAGE = "collage: cat and motorcycle"


def asked(network: str, **options: Any) -> Question:
    made = choices.network(network), choices.photo(COLLAGE)
    target = options.pop("target", None) or choices.offer(made[0].thing, made[1].thing).first
    return Question(made[1], made[0], target, **options)


def pasted(source: str, **names: Any) -> ll.show.Figure:
    """Run code as it is pasted into a cell, and return what its last line shows."""
    *before, last = source.splitlines()
    exec("\n".join([*before, f"figure = {last}"]), names)
    figure: ll.show.Figure = names["figure"]
    return figure


QUESTIONS: dict[str, Callable[[], list[Question]]] = {
    "a class": lambda: [asked(CNN, opacity=0.4, luck=True)],
    "signed": lambda: [asked(CNN, target="cat", signed=True)],
    "a layer and a method": lambda: [asked(CNN, layer="features.2.2", method="hirescam")],
    "two classes": lambda: [asked(CNN), asked(CNN, target="cat", luck=True)],
    "two methods": lambda: [asked(CNN), asked(CNN, method="layercam")],
    "a pixel": lambda: [asked(SEGMENTER)],
    "a box": lambda: [asked(DETECTOR, method="hirescam")],
    "two networks": lambda: [asked(CNN, target="cat", signed=True), asked(SEGMENTER, signed=True)],
}


@pytest.mark.parametrize("what", but_proofs(QUESTIONS, "a pixel", "a box", "two networks"))
def test_the_code_makes_the_very_picture(what: str) -> None:
    questions = QUESTIONS[what]()
    heats = [one.heat() for one in questions]
    figure, again = drawn(questions, heats), pasted(code(questions, heats))
    assert again.words == figure.words
    assert np.array_equal(np.asarray(again.picture()), np.asarray(figure.picture()))


def test_the_code_reads_as_a_person_would_write_it() -> None:
    assert code([asked(CNN, target="cat", layer="features", luck=True)]).splitlines() == [
        "import lessons_lib as ll",
        "",
        "model = ll.models.flat_cnn()",
        "photo = ll.collage.scene(1)",
        'heat = ll.explain(model, photo, "cat", layer="features", method=ll.gradcam)',
        "heat.show(opacity=0.7, luck=True)",
    ]
    targets = [ll.BoxScore(1), ll.BoxScore((1.0, 2.0, 3.0, 4.0), "cat"), ll.PixelScore(0, 4), 282, "cat"]
    assert [eval(question.written(one), {"ll": ll}) for one in targets] == targets
    assert question.written(ll.PixelScore(0, 4)) == "ll.PixelScore(0, 4)"


def test_one_scale_holds_two_maps_only_where_their_units_agree() -> None:
    one = asked(CNN)
    assert question.units_agree([one, asked(CNN, target="cat")])
    assert not question.units_agree([one, asked(CNN, method="hirescam")])
    assert not question.units_agree([one, asked(CNN, layer="features.2.2")])


def test_the_pixel_that_is_asked_about_is_marked_where_it_lies() -> None:
    photo = ll.Photo(Image.new("RGB", (448, 224)))  # 224 × 224 of the network is the middle half, pixel for pixel
    record = ll.Explainable(torch.nn.Conv2d(3, 2, 1), transform=ll.Preprocess(224, 224))
    assert question.around(ll.PixelScore(10, 20), record, photo) == (112 + 17.5, 7.5, 112 + 23.5, 13.5)


class Opened:
    """An explorer, its controls, and what stands on its page."""

    def __init__(self, *given: Any) -> None:
        self.explorer = ll.explorer(*given)
        self.panel = self.explorer._panel

    def after(self, act: Callable[[], Any]) -> str:
        act()
        assert self.explorer.wait(120)
        return self.words

    @property
    def words(self) -> str:
        return unescape(self.panel.words.value.partition('<div class="ll-words">')[2].removesuffix("</div>"))

    @property
    def status(self) -> str:
        return unescape(self.panel.status.value.partition('<div class="ll-status">')[2].removesuffix("</div>"))

    @property
    def code(self) -> str:
        return unescape(self.panel.code.value.partition("<code>")[2].partition("</code>")[0])

    def upload(self, name: str, content: bytes) -> str:
        one = {"name": name, "content": memoryview(content), "type": "", "size": len(content), "last_modified": None}
        return self.after(lambda: self.explorer._upload((one,)))


@pytest.fixture(scope="module")
def network() -> ll.Explainable:
    return ll.models.flat_cnn()


@pytest.fixture
def opened(network: ll.Explainable) -> Opened:
    return Opened(network, ll.collage.scene(1))


def test_what_is_shown_is_what_explain_gives(opened: Opened, network: ll.Explainable) -> None:
    scene = ll.collage.scene(1)
    expected = ll.explain(network, scene)
    assert opened.words == repr(opened.explorer) == expected.describe()
    assert opened.panel.top.children[1].icon == "check"
    other = ll.explain(network, scene, "rocket", layer="features.2.2", method=ll.hirescam)
    for act in (
        lambda: setattr(opened.panel.typed, "value", "rock"),
        lambda: setattr(opened.panel.layer, "value", "features.2.2"),
        lambda: setattr(opened.panel.method, "value", "hirescam"),
    ):
        told = opened.after(act)
    assert told == other.describe()
    assert torch.equal(opened.explorer.heat.values, other.values)
    assert opened.panel.typed.value == "rocket"
    alt = unescape(opened.panel.picture.value.partition('alt="')[2].partition('"')[0])
    shown = Image.open(io.BytesIO(base64.b64decode(opened.panel.picture.value.partition("base64,")[2][:-2])))
    assert alt == told and shown.size == other.show().picture(dpi=200).size
    figure = opened.explorer._repr_mimebundle_()[0]
    assert figure["text/plain"] == told and "image/jpeg" in figure, "what is stored where no kernel runs"


def test_a_class_on_top_is_a_button_and_marked(opened: Opened) -> None:
    panel = opened.panel
    second = opened.after(panel.top.children[2].click)
    assert second == ll.explain(ll.models.flat_cnn(), ll.collage.scene(1), "cat").describe()
    assert [bool(one.icon) for one in panel.top.children[1:3]] == [False, True]


@pytest.mark.proof
def test_pixels_and_boxes_are_asked_about_where_there_are_some(opened: Opened) -> None:
    panel = opened.panel
    told = opened.after(lambda: setattr(panel.network, "value", SEGMENTER))
    assert "at pixel row 113, column 113" in told and panel.pixel.layout.display is None
    assert "at pixel row 60, column 113" in opened.after(lambda: setattr(panel.row, "value", 60))
    opened.after(lambda: setattr(panel.network, "value", DETECTOR))
    assert opened.after(panel.boxes.children[2].click).startswith("box 1: motorcycle")
    assert (panel.typed.layout.display, panel.pixel.layout.display) == ("none", "none")


def test_both_networks_for_photographs_are_in_the_menu() -> None:
    person = choices.network("person segmenter, for photos")
    astronaut, rocket = choices.photo("astronaut"), choices.photo("rocket")
    offer = choices.offer(person.thing, astronaut.thing)
    assert (offer.kind, offer.top, offer.size, offer.count) == ("pixels", ((0, "55 %"),), (256, 256), 1)
    assert choices.offer(person.thing, rocket.thing).top == ()  # nobody is there
    pixel = Question(astronaut, person, offer.first)
    assert pixel.heat().words == "person, probability 1.00 at pixel row 129, column 129"

    detector = choices.network("photo detector, 23 classes")
    offer = choices.offer(detector.thing, astronaut.thing)
    assert (offer.kind, [box.name for box in offer.boxes]) == ("boxes", ["person"])
    box = Question(astronaut, detector, offer.first, method="hirescam")
    heat = box.heat()
    assert heat.words == "box 0: person, score 0.59"
    figure, again = drawn([box], [heat]), pasted(code([box], [heat]))
    assert again.words == figure.words
    with pytest.raises(ValueError, match="This network finds no box on this photo"):
        choices.offer(detector.thing, rocket.thing)
    assert ("backbone.stages.1 · 1280 × 10 × 10 · the usual one", "backbone.stages.1") in choices.places(
        detector.thing, astronaut.thing, "boxes"
    )


def test_a_photo_without_a_box_has_none_to_ask_about() -> None:
    empty = ll.Photo(Image.new("RGB", (224, 224), "grey"))
    with pytest.raises(ValueError) as raised:
        choices.offer(ll.models.detector(), empty)
    assert str(raised.value) == (
        "This network finds no box on this photo, so there is none to ask about: choose another photo or another "
        "network."
    )


def test_a_drawing_option_draws_the_same_map_again(opened: Opened) -> None:
    heat = opened.explorer.heat
    assert "the dashed line holds" in opened.after(lambda: setattr(opened.panel.luck, "value", True))
    assert "speaks against it" in opened.after(lambda: setattr(opened.panel.signed, "value", True))
    assert opened.explorer.heat is heat and opened.panel.opacity.disabled


def test_a_pinned_map_stays_on_the_left(opened: Opened, network: ll.Explainable) -> None:
    first = opened.words
    assert len(opened.after(opened.panel.pin.click).splitlines()) == 2
    both = opened.after(lambda: setattr(opened.panel.typed, "value", "cat"))
    assert both.splitlines()[0].startswith(first) and both.splitlines()[1].startswith("cat, ")
    assert pasted(opened.code, model=network, photo=ll.collage.scene(1)).words == both
    assert opened.after(opened.panel.unpin.click).startswith("cat, ")


def test_nothing_stale_is_shown_and_the_newest_question_wins(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = Event(), Event()

    def slow(self: Question) -> ll.Heatmap:
        begun.set()
        assert go.wait(60)
        return ll.explain(self.network.thing, self.photo.thing, self.target)

    monkeypatch.setattr(Question, "heat", slow)
    opened.panel.typed.value = "rocket"
    assert begun.wait(60)
    assert (opened.words, opened.code) == ("", "") and "<img" not in opened.panel.picture.value
    assert opened.status.startswith("Computing") and not opened.panel.cancel.disabled and opened.panel.png.disabled
    opened.panel.typed.value = "astronaut"
    go.set()
    shown: list[str] = []
    opened.panel.words.observe(lambda change: shown.append(opened.words), names="value")
    assert opened.explorer.wait(60)
    assert [one.partition(",")[0] for one in shown if one] == ["astronaut"]
    assert opened.panel.cancel.disabled


def test_a_slow_method_tells_its_steps_and_can_be_called_off(opened: Opened, network: ll.Explainable) -> None:
    network.network.train()
    bars: list[str] = []
    said: list[str] = []

    def call_off(change: Any) -> None:
        if change["new"]:
            bars.append(change["new"])
            said.append(opened.status)
            opened.panel.cancel.click()

    opened.panel.progress.observe(call_off, names="value")
    try:
        assert opened.after(lambda: setattr(opened.panel.method, "value", "scorecam")) == ""
        assert all(module.training for module in network.network.modules())
    finally:
        network.network.eval()
    assert len(bars) == 1 and 'value="1" max="6"' in bars[0] and "s left" in bars[0]
    assert said == ["Computing … This method runs the network again for each map of the layer."]
    assert opened.status.startswith("Cancelled") and opened.panel.progress.value == ""
    assert hooks(network) == 0
    opened.panel.progress.unobserve_all()
    assert opened.after(lambda: setattr(opened.panel.method, "value", "ablationcam")).startswith("motorcycle, ")


def hooks(record: ll.Explainable) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in record.network.modules())


def test_what_fails_is_one_sentence_in_the_place_of_the_picture(opened: Opened) -> None:
    assert opened.after(lambda: setattr(opened.panel.method, "value", "cam")) == ""
    assert opened.status.startswith("CAM needs a network that goes from layer 'features'")
    assert "take `method=ll.gradcam`" in opened.panel.picture.value and opened.code == ""
    assert opened.after(lambda: setattr(opened.panel.method, "value", "gradcam")).startswith("motorcycle, ")


@pytest.mark.proof
def test_a_box_of_another_photo_is_not_asked_about(opened: Opened) -> None:
    opened.after(lambda: setattr(opened.panel.photo, "value", "cat"))
    assert opened.after(lambda: setattr(opened.panel.network, "value", DETECTOR)) == ""
    assert "finds no box on this photo" in opened.status
    opened.after(lambda: setattr(opened.panel.method, "value", "hirescam"))
    assert "finds no box on this photo" in opened.status


@pytest.mark.proof
def test_a_blank_map_is_told_with_its_cause(opened: Opened, recwarn: pytest.WarningsRecorder) -> None:
    opened.after(lambda: setattr(opened.panel.network, "value", "Swin, for collages"))
    opened.after(lambda: setattr(opened.panel.method, "value", "hirescam"))
    assert "is blank: what each cell adds up at features.5.1 cancels" in opened.status
    assert not recwarn.list


def picture(size: tuple[int, int], kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, kind, **options)
    return file.getvalue()


ANIMATION = picture((64, 64), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 64), "red")])
BROKEN = {
    "paper.pdf": (b"%PDF-1.4", "'paper.pdf' is not a picture that Pillow can read: save it as PNG or JPEG"),
    "half.jpg": (picture((640, 480))[:2000], "'half.jpg' is damaged or cut short"),
    "empty.png": (b"", "'empty.png' is empty, it has no bytes: copy or save it again."),
    "dot.png": (picture((1, 1)), "'dot.png' is 1 × 1 pixels, too few to show anything"),
    "wide.jpg": (picture((12_000, 40)), "'wide.jpg' is 12000 × 40 pixels, and at most 10,000 a side"),
    "party.gif": (ANIMATION, "'party.gif' is an animation of 2 pictures: save one"),
    "heavy.jpg": (picture((64, 64)) + b"\0" * 30_000_000, "'heavy.jpg' has 30 MB, and at most 10 MB are taken"),
}


def test_a_broken_upload_gets_one_sentence_and_the_picture_stays(opened: Opened) -> None:
    before = opened.words, opened.panel.picture.value
    for name, (content, sentence) in BROKEN.items():
        opened.upload(name, content)
        assert opened.status.startswith(sentence) and opened.status.endswith("The picture from before stays.")
        assert "\n" not in opened.status and (opened.words, opened.panel.picture.value) == before


def test_an_upload_is_made_small_and_comes_back_by_its_name(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_uploaded", {})
    opened.upload("sea.jpg", picture((3200, 1600)))
    assert opened.panel.photo.value == f"{UPLOADED}sea.jpg"
    assert ll.photos.uploaded("sea.jpg").image.size == (1600, 800)
    assert 'photo = ll.photos.uploaded("sea.jpg")' in opened.code
    assert opened.after(lambda: setattr(opened.panel.photo, "value", COLLAGE)).startswith("motorcycle, ")
    assert files.keep("sea.jpg", ll.Photo(Image.new("RGB", (9, 9)))) == "sea (2).jpg"
    assert files.keep("sea.jpg", uploads.photo("sea.jpg", picture((3200, 1600)))) == "sea.jpg"
    with pytest.raises(ValueError, match="near it: sea"):
        ll.photos.uploaded("see.jpg")


def test_a_class_is_found_by_part_of_its_name_by_its_number_or_not_at_all() -> None:
    known = ["tabby", "tiger cat", "Persian cat", "crane, class 3", "crane, class 4"]
    assert [choices.found(typed, known) for typed in ("TABBY", " persian", "1", "tiger", "class 4")] == [0, 2, 1, 1, 4]
    with pytest.raises(ValueError, match=r"2 classes hold 'cat': tiger cat, Persian cat\. Type more of the name"):
        choices.found("cat", known)
    with pytest.raises(ValueError, match="There is no class 'taby'; near it: tabby"):
        choices.found("taby", known)


def test_two_classes_of_one_name_are_told_apart() -> None:
    record = ll.Explainable(torch.nn.Identity(), categories=("crane", "cat", "crane"))
    assert choices.names(record, 4) == ["crane, class 0", "cat", "crane, class 2", "class 3"]
    assert [choices.asked_as(index, record) for index in range(4)] == [0, "cat", 2, 3]


def test_layers_stand_in_their_order_with_sizes(network: ll.Explainable) -> None:
    listed = choices.places(network, ll.collage.scene(1), "classes")
    assert [name for _, name in listed] == [one.layer for one in ll.layers(network, ll.collage.scene(1))]
    assert listed[-1] == ("features · 96 × 14 × 14 · the usual one", "features")
    bare = ll.Explainable(network.network, transform=network.transform)
    assert choices.places(bare, ll.collage.scene(1), "classes")[0] == ("chosen by ll.explain", None)


def test_a_network_of_ones_own_is_called_as_in_the_notebook(
    network: ll.Explainable, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = SimpleNamespace(user_ns={"_": network, "mine": network})
    monkeypatch.setitem(__import__("sys").modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert opening._called(network, "model") == "mine"
    assert opening._called(object(), "model") == "model"
    named = Named("mine", network)
    lines = code([Question(choices.photo(COLLAGE), named, "cat")]).splitlines()
    assert "model = mine" in lines


def test_wrong_input_gets_a_sentence() -> None:
    with pytest.raises(TypeError, match=r"The explorer takes a photo, not 'cat\.jpg': open a file with"):
        ll.explorer(photo="cat.jpg")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="comes without preprocessing, so it can't take a photo"):
        ll.explorer(torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1)))


def test_the_picture_and_the_values_are_saved_under_names_that_are_free(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for button in (opened.panel.png, opened.panel.npy, opened.panel.npy):
        button.click()
    assert opened.status == "Saved as motorcycle_gradcam_features_2.npy."
    values = np.load(tmp_path / "motorcycle_gradcam_features.npy")
    assert np.array_equal(values, opened.explorer.heat.values.numpy())
    saved = Image.open(tmp_path / "motorcycle_gradcam_features.png")
    assert saved.width == pytest.approx(3 * opened.explorer.figure.width, abs=3)


def test_who_listens_hears_each_step_and_no_bar_is_drawn(
    network: ll.Explainable, monkeypatch: pytest.MonkeyPatch
) -> None:
    ll.explain(network, ll.collage.scene(1), "cat")  # followed by now, for which there would be a bar
    monkeypatch.setattr("tqdm.auto.tqdm", lambda *_, **__: pytest.fail("a bar"))
    monkeypatch.setattr("lessons_lib.core.engine.rerun.PATIENCE", -1.0)
    heard: list[tuple[int, int]] = []
    with calling.told(lambda done, of, seconds: heard.append((done, of)) if seconds > 0 else None):
        ll.explain(network, ll.collage.scene(1), "cat", method=ll.scorecam)
    assert heard == [(done, 6) for done in range(1, 6)]
    assert calling.listener() is None


def two_hundred_changes() -> None:
    """Print the megabytes held after ten rounds of four changes and after fifty more, and the hooks that are left."""
    opened = Opened()
    names = ("tabby", "espresso", "missile", "Persian cat", "moped")
    for number in range(60):
        for where, value in (
            ("typed", names[number % 5]),
            ("method", ("layercam", "gradcam")[number % 2]),
            ("photo", ("coffee cup", "cat")[number % 2]),
            ("layer", ("blocks.4", "bn2")[number % 2]),
        ):
            opened.after(lambda where=where, value=value: setattr(getattr(opened.panel, where), "value", value))
        if number in (9, 59):
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)  # hands back what is free: 60 MB and more, and another amount each time
            print(int(re.findall(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1e3)
    print(hooks(opened.explorer.question.network.thing))


@pytest.mark.proof
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc hands back what is free when it is told to")
def test_two_hundred_changes_leave_no_hook_and_hardly_any_memory() -> None:
    """In a process of its own, for another test's memory would be counted, and without what glibc holds though nobody
    uses it, which goes up and down by more than 50 megabytes."""
    command = [sys.executable, "-c", "from tests.test_explorer import two_hundred_changes as run; run()"]
    before, after, left = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.split()
    assert float(after) - float(before) < 50
    assert int(left) == 0
