"""How long the explorer takes to redraw, in a real browser: python -m benchmarks.explorer, after make browser

JupyterLab and Chromium run on this machine. A class and a method are changed in turn, as a person changes them, and the
time is taken in the page, from the key to the new picture. The table is printed and written to explorer.md.
"""

import argparse
import os
import tempfile
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.gradcam import quartiles
from tools import browsing, pages

REPORT = Path(__file__).parent / "explorer.md"

# Resolves when a new picture has been decoded, to the milliseconds since `started`.
_DRAWN = """() => new Promise(done => {
    const whole = document.querySelector('.ll-explorer'), old = whole.querySelector('img.ll-figure').src;
    const started = performance.now();
    const look = () => {
        const image = whole.querySelector('img.ll-figure');
        if (image && image.src !== old && image.complete) { done(performance.now() - started); }
        else { requestAnimationFrame(look); }
    };
    window.llAct();
    look();
})"""
_CLASS = "() => { window.llAct = () => document.querySelectorAll('.ll-explorer .widget-button')[%d].click(); }"
_METHOD = """() => { window.llAct = () => {
    const menus = document.querySelectorAll('.ll-explorer select'), menu = menus[menus.length - 1];
    menu.value = '%s';
    menu.dispatchEvent(new Event('change', {bubbles: true}));
}; }"""


def measured(rounds: int) -> dict[str, list[float]]:
    """Return the seconds that each redrawing took, for a change of the class and of the method."""
    seconds: dict[str, list[float]] = {"class": [], "method": []}
    with tempfile.TemporaryDirectory() as scratch, browsing.lab(Path(scratch)) as address:
        browsing.notebook(Path(scratch) / "mine.ipynb", "import lessons_lib as ll\n\nll.explorer()")
        with browsing.chromium() as browser:
            page = browser.new_page(viewport={"width": 1100, "height": 1100})
            browsing.Notebook(page, address, "mine.ipynb").run(0)
            browsing.Page(page).words()
            for number in tqdm(range(-1, rounds), desc="changes of the class and of the method", unit="change"):
                for what, act in (
                    ("class", _CLASS % (number % 2 + 1)),
                    ("method", _METHOD % ("layercam", "gradcam_plus_plus")[number % 2]),
                ):
                    page.evaluate(act)
                    took = page.evaluate(_DRAWN) / 1000
                    if number >= 0:  # the first is a warm-up
                        seconds[what].append(took)
    return seconds


def report(seconds: dict[str, list[float]], threads: str) -> str:
    """Return the table of medians and quartiles, and whether each median is within half a second.

    Example:
        >>> print(report({"class": [0.25, 0.5, 0.75]}, "2").splitlines()[2])
        | class | 0.50 (0.38–0.62) | yes |
    """
    rows = []
    for what, times in seconds.items():
        low, middle, high = quartiles(times)
        rows.append((what, f"{middle:.2f} ({low:.2f}–{high:.2f})", "yes" if middle <= 0.5 else "no"))
    lines = [
        *pages.table(("what is changed", "seconds until it is redrawn", "within 0.5 s"), rows),
        "",
        f"Median of {len(next(iter(seconds.values())))}, quartiles in brackets, from the press to the decoded picture, "
        f"the ImageNet classifier on the cat. JupyterLab, kernel and Chromium together on {os.cpu_count()} cores, "
        f"{threads} CPU threads, torch {torch.__version__.partition('+')[0]}. `python -m benchmarks.explorer`, run by "
        "`.browser/venv/bin/python`, measures again.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="how often each is changed (20)")
    given = parser.parse_args()
    seconds = measured(given.rounds)
    told = report(seconds, os.environ.get("OMP_NUM_THREADS", str(os.cpu_count())))
    print(told)
    REPORT.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main()
