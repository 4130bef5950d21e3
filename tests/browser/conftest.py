"""One JupyterLab and one Chromium for all tests of the browser; each test meets an explorer that was just opened."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools import browsing

SCREENS = browsing.ROOT / ".browser" / "screens"
OPENED = "import lessons_lib as ll\n\nll.explorer()"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
def address(folder: Path) -> Iterator[str]:
    with browsing.lab(folder) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    SCREENS.mkdir(parents=True, exist_ok=True)
    with browsing.chromium() as found:
        yield found


@pytest.fixture(scope="session")
def notebook(browser: Any, address: str, folder: Path) -> Iterator[browsing.Notebook]:
    """A notebook with the explorer in its first cell, and an empty second one."""
    browsing.notebook(folder / "mine.ipynb", OPENED, "")
    context = browser.new_context(viewport={"width": 1100, "height": 1100})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield browsing.Notebook(context.new_page(), address, "mine.ipynb")
    context.close()


@pytest.fixture
def explorer(notebook: browsing.Notebook) -> browsing.Page:
    notebook.page.set_viewport_size({"width": 1100, "height": 1100})
    notebook.run(0, OPENED)
    explorer = browsing.Page(notebook.page)
    explorer.words()
    return explorer
