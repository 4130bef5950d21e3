"""Draw the figure that opens the README, and put its words beside it: python -m tools.readme"""

from pathlib import Path

import lessons_lib as ll
from lessons_lib.photos import collage
from lessons_lib.show.figure import Figure
from tools.pages import replaced

ROOT = Path(__file__).parent.parent
PICTURE = Path("docs", "two_questions.png")


def opening() -> Figure:
    """Return two heatmaps of one scene: what speaks for a cat, and what for an espresso."""
    scene = collage.scene(5, kinds=["cat", "coffee cup"], count=2, area=(0.14, 0.24), size=448)
    model = ll.models.imagenet()
    return ll.show.row([ll.explain(model, scene, ll.ClassScore(name)) for name in ("Egyptian cat", "espresso")])


def block(words: str) -> str:
    """Return what stands in the README for a figure of these words."""
    return f"![{'; '.join(words.splitlines())}]({PICTURE.as_posix()})"


def main() -> None:
    """Write the figure and the README."""
    figure = opening()
    (ROOT / PICTURE).parent.mkdir(exist_ok=True)
    figure.save(ROOT / PICTURE)
    readme = ROOT / "README.md"
    page = replaced(readme.read_text(encoding="utf-8"), "picture", block(figure.words))
    readme.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
