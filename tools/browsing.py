"""Opening notebooks in a real JupyterLab, in a Chromium without a window: for `make browser` and the benchmark."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat

from tools.execute import tidy

ROOT = Path(__file__).parent.parent
MILLISECONDS = 120_000.0
"""How long to wait for anything; a slow machine is no fault."""


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """Start JupyterLab on a folder and yield its address, up to the path; stop it afterwards."""
    import jupyterlab

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # Where JupyterLab and the widgets' own page parts were installed, also when another environment borrows them.
    shared = Path(jupyterlab.__file__).parents[4] / "share" / "jupyter"
    environment = {**os.environ, "JUPYTER_PATH": str(shared), "JUPYTER_CONFIG_PATH": str(ROOT / "tools" / "jupyter")}
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "-y", "--log-level=CRITICAL"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += ["--IdentityProvider.token=here"]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token=here", timeout=10).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=60)


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield Playwright's browser on the Chromium of this machine.

    Raises:
        FileNotFoundError: there is none.
    """
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise FileNotFoundError("There is no Chromium on this machine: on Debian, `apt install chromium`.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def notebook(path: Path, *sources: str) -> Path:
    """Write a notebook of code cells."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    tidy(made)
    nbformat.write(made, path)
    return path


_PROMPT = """([number, ...not]) => {
    const cell = document.querySelectorAll('.jp-CodeCell')[number];
    const prompt = cell.querySelector('.jp-InputPrompt').innerText.trim();
    return not.includes(prompt) ? '' : prompt;
}"""


class Notebook:
    """A notebook that is open in the browser.

    Args:
        page: Playwright's.
        address: of the server.
        path: of the notebook, in the server's folder.
    """

    def __init__(self, page: Any, address: str, path: str):
        self.page = page
        page.set_default_timeout(MILLISECONDS)
        page.goto(f"{address}/lab/tree/{path}?token=here&reset")
        page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell")
        page.wait_for_selector(".jp-Spinner", state="detached")
        page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
        page.keyboard.press("Control+b")  # the file list takes room

    def run(self, number: int, source: str | None = None) -> None:
        """Run a cell, counted from 0, with other source where it is given, until the kernel is idle again."""
        from playwright.sync_api import TimeoutError

        cell = self.page.locator(".jp-CodeCell").nth(number)
        cell.locator(".cm-content").click()
        if source is not None:
            self.page.keyboard.press("Control+a")
            self.page.keyboard.insert_text(source)
        before = self.page.evaluate(_PROMPT, [number, "", ""])
        for _ in range(20):  # a notebook that has just been opened may miss the first key
            if self.page.evaluate(_PROMPT, [number, "", ""]) == before:
                self.page.keyboard.press("Control+Enter")
            with suppress(TimeoutError):
                self.page.wait_for_function(_PROMPT, arg=[number, before, "[*]:"], timeout=3000)
                break
        self.page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")

    def output(self, number: int) -> str:
        """Return what a cell printed."""
        told: str = self.page.locator(".jp-CodeCell").nth(number).locator(".jp-OutputArea-output").last.inner_text()
        return told.strip()


class Page:
    """The explorer on a page, as a person meets it: by labels and names."""

    def __init__(self, page: Any):
        self.page = page
        self.whole = page.locator(".ll-explorer").first

    def control(self, label: str) -> Any:
        """Return the control with a label."""
        return self.whole.get_by_label(label, exact=True)

    def press(self, name: str) -> None:
        """Go to a button and press it by keyboard."""
        self.whole.get_by_role("button", name=name).focus()
        self.page.keyboard.press("Enter")

    def words(self) -> str:
        """Return the words under the picture, once there are some."""
        self.whole.locator("img.ll-figure").wait_for()
        told: str = self.whole.locator(".ll-words").inner_text()
        return told.strip()

    def words_after(self, act: Any) -> str:
        """Do something, and return the words of the picture that comes then."""
        self.whole.locator("img.ll-figure").evaluate("image => image.classList.add('old')")
        act()
        self.whole.locator("img.ll-figure:not(.old)").wait_for()
        return self.words()

    def status(self, holding: str) -> str:
        """Return what is said in the status line, once it holds some words."""
        line = self.whole.locator(".ll-status", has_text=holding)
        line.wait_for()
        told: str = line.inner_text()
        return told

    def code(self) -> str:
        """Return the code that stands under the words."""
        told: str = self.whole.locator(".ll-code code").inner_text()
        return told
