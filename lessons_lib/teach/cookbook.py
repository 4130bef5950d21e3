"""The cookbook's page: recipes written for your own network run there on the course's small ones, and are compared."""

import base64
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lessons_lib.core.heatmap import Heatmap
from lessons_lib.models import embedded
from lessons_lib.photos import collage, shipped
from lessons_lib.show.ties import first_peak
from lessons_lib.teach.stand_ins import Page, filled, values_of

_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
"""Kept until the process ends."""


def begin() -> Page:
    """Make a notebook the cookbook's page, and return what stands on it for a reader's own networks.

    From here on a line that ends in `# yours` takes a small network of the course; without that mark it runs as it is
    written. The notebook works in a folder of its own, which holds the pictures that the recipes open and is deleted
    afterwards. Matplotlib's figures carry words: their titles, and where each map drawn has its peak.
    """
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    _FOLDERS.append(folder)
    pictures(Path(folder.name))
    os.chdir(folder.name)
    page = Page(lambda name: getattr(embedded, name)().network)
    try:
        from IPython import get_ipython
    except ImportError:
        return page
    if shell := get_ipython():
        shell.input_transformers_post.append(lambda lines: filled("".join(lines)).splitlines(keepends=True))
        _tell_figures(shell)
    return page


def pictures(folder: Path) -> None:
    """Write the pictures that the recipes open into a folder: photo.jpg, wide.jpg, scene.jpg, photos/ and frames/."""
    two = collage.scene(5, kinds=["cat", "coffee cup"], count=2, area=(0.14, 0.24), size=448).image
    wide = shipped.coffee().image
    scene = collage.scene(8, count=3, background="brick").image
    for name in ("photos", "frames"):
        (folder / name).mkdir(exist_ok=True)
    shown = {"photo": two, "wide": wide, "scene": scene}
    shown |= {f"photos/{name}": image for name, image in {**shown, "cat": shipped.cat().image}.items()}
    shown |= {f"frames/{at}": two.crop((20 * at, 0, 320 + 20 * at, 320)) for at in range(4)}
    for name, image in shown.items():
        image.save(folder / f"{name}.jpg", quality=95)
    (folder / "photos" / "broken.jpg").write_bytes((folder / "scene.jpg").read_bytes()[:300])


def agrees(cam: Any, heats: Heatmap | list[Heatmap] | np.ndarray) -> None:
    """Say what the library's map explains, and that a recipe's map is the same to 1e-4 of its peak.

    Args:
        cam: the recipe's map, H×W, or several of them.
        heats: what the library gives for the same question.

    Raises:
        AssertionError: the maps differ.

    Example:
        >>> agrees(heat.values, heat)
        Heatmap(tiger cat, probability 0.39, score 9.24 · gradcam at bn2 · 7 × 7)
        the recipe's map is the library's, to 1e-4 of the peak: yes
    """
    several: list[Any] = heats if isinstance(heats, list) else [heats]
    theirs = [one.values if isinstance(one, Heatmap) else torch.as_tensor(one) for one in several]
    ours = values_of(cam)
    assert len(ours) == len(theirs), f"the recipe made {len(ours)} maps and the library {len(theirs)}"
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape, f"the recipe's map is {tuple(mine.shape)}, the library's {tuple(other.shape)}"
        assert other.abs().max() > 0, "the library's map is blank"
        apart = float((mine - other).abs().max() / other.abs().max())
        assert apart < 1e-4, f"the maps differ by {apart:.1e} of the peak"
    for one in several:
        print(one if isinstance(one, Heatmap) else f"an array of {' × '.join(map(str, one.shape))}")
    print(f"the recipe's map{'s are' if len(ours) > 1 else ' is'} the library's, to 1e-4 of the peak: yes")


def told(figure: Any) -> str:
    """Return a matplotlib figure in words: its titles, and of each map over a picture where its peak lies."""
    parts = []
    for axes in figure.axes:
        parts.append(axes.get_title())
        for drawn in axes.images:
            values = torch.from_numpy(np.ma.filled(drawn.get_array(), 0))
            if values.ndim == 2 and min(values.shape) > 1:
                row, column = first_peak(values.float())
                parts.append(f"peak at row {row + 1}, column {column + 1} of {values.shape[0]} × {values.shape[1]}")
    return " · ".join(part for part in parts if part) or "a figure"


def _tell_figures(shell: Any) -> None:
    """Let matplotlib's figures be shown small, as JPEG, with their words."""
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    plt.rcParams.update({"figure.figsize": (4.6, 3.6), "figure.dpi": 80, "axes.titlesize": 10})
    plt.figure()
    plt.close("all")  # the inline backend sets its own formatters at the first figure
    formatters = shell.display_formatter.formatters

    def jpeg(figure: Any) -> tuple[str, dict[str, Any]]:
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=110, bbox_inches="tight")
        image, file = Image.open(file).convert("RGB"), io.BytesIO()
        image.save(file, "jpeg", quality=65)
        size = {"width": round(image.width * 0.75), "height": round(image.height * 0.75), "alt": told(figure)}
        return base64.b64encode(file.getvalue()).decode(), size

    for kind in ("image/png", "image/svg+xml"):
        formatters[kind].pop(Figure, None)
    formatters["image/jpeg"].for_type(Figure, jpeg)
    formatters["text/plain"].for_type(Figure, lambda figure, printer, cycle: printer.text(told(figure)))
