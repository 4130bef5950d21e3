"""axe-core on what is ours, in the notebook and in an exported lesson: no violation of WCAG 2.2, levels A and AA."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import SCREENS
from tools.browsing import ROOT, Page

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


def violations(page: Any, within: str) -> list[str]:
    """Return each violation inside an element, with the first piece of the page that shows it."""
    found = Axe().run(page, context=within, options=RULES).response["violations"]
    return [f"{one['id']}: {one['help']} · {one['nodes'][0]['html'][:160]}" for one in found]


def test_the_explorer_has_none_in_any_of_its_states(explorer: Page) -> None:
    assert violations(explorer.page, ".ll-explorer") == []
    explorer.words_after(lambda: explorer.press("Pin on the left"))
    assert violations(explorer.page, ".ll-explorer") == []
    explorer.page.screenshot(path=SCREENS / "pinned.png")
    explorer.words_after(lambda: explorer.press("Unpin"))
    explorer.words_after(lambda: explorer.control("Network").select_option("segmenter, for collages"))
    assert violations(explorer.page, ".ll-explorer") == []
    explorer.page.screenshot(path=SCREENS / "pixel.png")
    explorer.control("Method").select_option("scorecam")
    explorer.whole.get_by_role("progressbar").wait_for()
    assert violations(explorer.page, ".ll-explorer") == []
    explorer.press("Cancel")
    explorer.status("Cancelled")
    assert violations(explorer.page, ".ll-explorer") == []


def test_a_planted_fault_is_found(explorer: Page) -> None:
    explorer.control("Photo").evaluate("menu => menu.labels[0].remove()")
    assert any(one.startswith("select-name") for one in violations(explorer.page, ".ll-explorer"))


@pytest.mark.parametrize("lesson", ["00_start_here", "10_swin"])
def test_an_exported_lesson_has_none(
    lesson: str, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbconvert import HTMLExporter

    monkeypatch.setenv("JUPYTER_PATH", str(ROOT / ".venv" / "share" / "jupyter"))  # whose nbconvert is borrowed here
    body, _ = HTMLExporter(template_name="lab").from_filename(str(ROOT / "notebooks" / f"{lesson}.ipynb"))
    path = tmp_path / "lesson.html"
    path.write_text(body, encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    # Prompts and the colours of code are nbconvert's: what a lesson writes, draws and prints is ours.
    for ours in (".jp-RenderedMarkdown", ".jp-OutputArea-output"):
        assert page.locator(ours).count()
        assert violations(page, ours) == []
    page.close()
