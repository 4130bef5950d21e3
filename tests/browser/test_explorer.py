"""The explorer in a real JupyterLab and a real Chromium, by keyboard, as a learner meets it."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lessons_lib as ll
from tests.browser.conftest import SCREENS
from tools.browsing import Notebook, Page
from tools.rounding import difference


def alike(told: str, expected: str) -> bool:
    """Say whether two descriptions are one, but for the last digit, which another processor may round otherwise."""
    return difference(" ".join(told.split()), " ".join(expected.split())) is None


def repeated(explorer: Page) -> Any:
    """Return the figure that the explorer's code makes here, by `ll.explain`, outside the browser."""
    *before, last = explorer.code().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join([*before, f"figure = {last}"]), names)
    return names["figure"]


def test_words_picture_and_code_say_the_same(explorer: Page) -> None:
    figure = repeated(explorer)
    assert alike(explorer.words(), figure.words)
    image = explorer.whole.locator("img.ll-figure")
    assert alike(image.get_attribute("alt"), figure.words)
    shown = Image.open(io.BytesIO(base64.b64decode(image.get_attribute("src").partition(",")[2])))
    drawn = figure.picture(dpi=200)
    assert shown.size == drawn.size
    assert np.abs(np.asarray(shown, float) - np.asarray(drawn, float)).mean() < 2  # grey levels: JPEG


def test_a_class_is_searched_and_layer_and_method_are_changed_by_keyboard(explorer: Page) -> None:
    keyboard, cells = explorer.page.keyboard, explorer.page.locator(".jp-Cell").count()
    explorer.control("Class").focus()

    def search(name: str) -> None:
        keyboard.press("Control+a")
        keyboard.type(name)
        keyboard.press("Enter")

    assert explorer.words_after(lambda: search("espresso")).startswith("espresso, ")
    explorer.control("Class").focus()
    assert explorer.words_after(lambda: search("Persian")).startswith("Persian cat, ")
    explorer.control("Class").focus()
    search("terrier")
    assert "classes hold 'terrier': " in explorer.status("terrier")
    assert explorer.words_after(lambda: explorer.press("tabby")).startswith("tabby, ")
    explorer.control("Layer").focus()
    assert " of 7 × 7 " in explorer.words()
    assert explorer.words_after(lambda: keyboard.press("ArrowUp"))
    assert 'layer="conv_head"' in explorer.code()
    explorer.control("Method").focus()
    explorer.words_after(lambda: keyboard.type("layer"))
    assert "method=ll.layercam" in explorer.code()
    assert alike(explorer.words(), repeated(explorer).words)
    assert explorer.page.locator(".jp-Cell").count() == cells, "JupyterLab took the keys for commands of its own"


def test_every_control_is_reached_by_tab_and_seen_to_have_the_focus(explorer: Page) -> None:
    explorer.control("Photo").focus()
    reached = []
    for _ in range(30):
        reached.append(
            explorer.page.evaluate(
                """() => {
                    const at = document.activeElement, style = getComputedStyle(at);
                    const labels = at.labels && at.labels.length ? [...at.labels].map(l => l.innerText).join(' ') : '';
                    return [at.closest('.ll-explorer') !== null, at.ariaLabel || labels || at.innerText,
                            style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
                }"""
            )
        )
        explorer.page.keyboard.press("Tab")
    names = [name.strip() for inside, name, _ in reached if inside]
    assert [name for inside, name, seen in reached if inside and not seen] == []
    for wanted in (
        *("Photo", "Upload", "Network", "Class", "tiger cat", "Layer", "Method", "Opacity", "Signed", "Line of"),
        *("Pin", "Save figure", "Save values", "code", "Copy the code"),
    ):
        assert any(name.startswith(wanted) for name in names), (wanted, names)


def _jpeg(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "JPEG")
    return file.getvalue()


def _animation() -> bytes:
    file = io.BytesIO()
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


BROKEN = {
    "a PDF": ("paper.pdf", b"%PDF-1.4\n%", "is not a picture that Pillow can read"),
    "cut short": ("half.jpg", _jpeg((640, 480))[:2000], "is damaged or cut short"),
    "empty": ("empty.png", b"", "is empty, it has no bytes"),
    "one pixel": ("dot.jpg", _jpeg((1, 1)), "is 1 × 1 pixels, too few"),
    "a panorama": ("wide.jpg", _jpeg((12_000, 800)), "is 12000 × 800 pixels"),
    "an animation": ("party.gif", _animation(), "is an animation of 2 pictures"),
    "30 MB": ("heavy.jpg", _jpeg((640, 480)) + b"\0" * 30_000_000, "has 30 MB"),
}


def upload(explorer: Page, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with explorer.page.expect_file_chooser() as chooser:
        explorer.press("Upload a photo")
    chooser.value.set_files(path)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_gets_a_sentence_and_the_picture_stays(kind: str, explorer: Page, tmp_path: Path) -> None:
    before = explorer.words(), explorer.code()
    name, content, sentence = BROKEN[kind]
    upload(explorer, tmp_path / name, content)
    told = explorer.status(sentence)
    assert told.startswith(f"'{name}' {sentence}") and told.endswith("The picture from before stays.")
    assert "Traceback" not in explorer.page.locator(".jp-CodeCell").first.inner_text()
    assert (explorer.words(), explorer.code()) == before


def test_a_photo_of_ones_own_is_explained_and_its_code_runs_as_pasted(
    explorer: Page, notebook: Notebook, tmp_path: Path
) -> None:
    path = tmp_path / "my cat.jpg"
    ll.photos.cat().image.save(path, quality=95)
    words = explorer.words_after(lambda: upload(explorer, path, path.read_bytes()))
    assert alike(words, ll.explain(ll.models.imagenet(), ll.photos.open(path)).describe())
    explorer.press("Copy the code")
    explorer.whole.get_by_role("button", name="Copied").wait_for()
    copied = explorer.page.evaluate("navigator.clipboard.readText()")
    assert copied == explorer.code() and 'll.photos.uploaded("my cat.jpg")' in copied
    notebook.run(1, copied)
    assert notebook.page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output img").count() == 1
    notebook.run(1, "print(_.words)")
    assert alike(notebook.output(1), words)


def test_a_slow_method_shows_the_time_left_and_is_called_off(explorer: Page, notebook: Notebook) -> None:
    explorer.control("Method").focus()
    explorer.page.keyboard.type("score")
    bar = explorer.whole.get_by_role("progressbar")
    bar.wait_for()
    assert re.search(r"\d+ of 80 · about \d+ s left", explorer.whole.inner_text())
    assert explorer.whole.locator("img.ll-figure").count() == 0, "nothing stale is shown"
    assert explorer.whole.locator(".ll-code").count() == 0
    explorer.page.screenshot(path=SCREENS / "computing.png")
    explorer.press("Cancel")
    assert "the network is as it was" in explorer.status("Cancelled")
    bar.wait_for(state="detached")
    explorer.control("Method").focus()
    explorer.page.keyboard.type("hires")
    assert explorer.words().startswith("tiger cat, ")
    asked = "from lessons_lib.teach.explorer import choices\n\n"
    asked += "network = choices.network(next(iter(choices.NETWORKS))).thing.network\n"
    asked += "print(sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules()), "
    asked += "network.training, all(p.requires_grad for p in network.parameters()))"
    notebook.run(1, asked)
    assert notebook.output(1) == "0 False True"


def test_two_maps_are_compared_on_one_scale(explorer: Page) -> None:
    explorer.words_after(lambda: explorer.press("Pin on the left"))
    words = explorer.words_after(lambda: explorer.press("tabby"))
    first, second = words.splitlines()
    assert first.startswith("tiger cat, ") and second.startswith("tabby, ")
    assert "of the highest" in words and "shared=True" in explorer.code()
    assert alike(words, repeated(explorer).words)
    explorer.words_after(lambda: explorer.control("Line of evenly spread heat").press("Space"))
    explorer.page.screenshot(path=SCREENS / "compared.png")
    assert len(explorer.words_after(lambda: explorer.press("Unpin")).splitlines()) == 1


def test_what_changes_is_in_a_live_region_that_stays(explorer: Page) -> None:
    regions = explorer.whole.locator("[role=status]")
    assert regions.count() == 2
    regions.last.evaluate("region => region.classList.add('same')")
    explorer.words_after(lambda: explorer.press("tabby"))
    assert explorer.whole.locator(".same[role=status] .ll-words").inner_text().startswith("tabby")


@pytest.mark.parametrize(("width", "what"), [(900, "a window of 900 pixels"), (550, "zoomed to 200 %")])
def test_nothing_is_cut_off(width: int, what: str, explorer: Page) -> None:
    explorer.page.set_viewport_size({"width": width, "height": 900})
    over = explorer.whole.evaluate(
        """whole => [...whole.querySelectorAll('button, select, input, img, pre, progress')]
            .filter(one => one.offsetParent
                && one.getBoundingClientRect().right > whole.getBoundingClientRect().right + 1)
            .map(one => one.outerHTML.slice(0, 80))"""
    )
    assert over == [], what
    explorer.page.screenshot(path=SCREENS / f"{width}.png")
