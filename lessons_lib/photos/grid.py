"""Several photographs in one picture, each in its own cell: real pixels, and a truth without an outline."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from lessons_lib.core.engine.outputs import said
from lessons_lib.core.records import Outlined, Photo


def grid(photos: Sequence[Photo], *, side: int = 112) -> Photo:
    """Return photos side by side in a square grid, each cut to its middle square; the cells are the outlined objects.

    The share of heat in a class's own cell is the grid pointing game (`metrics.share`), luck 1 in n².

    Args:
        photos: 4 or 9 or so of them, row by row; a photo with objects names its cell after the first, another one
            by its title.
        side: of a cell, in pixels.

    Raises:
        TypeError, ValueError: these are no photos, or they make no square; the side is none.

    Example:
        >>> grid([photos.cat(), photos.coffee(), photos.motorcycle(), photos.rocket()])
        grid · 224 × 224 pixels · known outline: cat, coffee cup, motorcycle, rocket
    """
    if not isinstance(photos, list | tuple) or not all(isinstance(one, Photo) for one in photos):
        parts = photos if isinstance(photos, list | tuple) else [photos]
        wrong = next((one for one in parts if not isinstance(one, Photo)), photos)
        raise TypeError(f"A grid is made of several photos in a list, not of {said(wrong)}: `ll.photos.cat()` is one.")
    across = round(len(photos) ** 0.5)
    if not photos or across**2 != len(photos):
        raise ValueError(f"{len(photos)} photos make no square: give 4 or 9 of them.")
    if not isinstance(side, int) or isinstance(side, bool) or side < 1:
        raise ValueError(f"side={side!r} is a cell's side in pixels: give 1 or more.")
    canvas = Image.new("RGB", (across * side, across * side))
    objects = []
    for number, one in enumerate(photos):
        row, column = divmod(number, across)
        width, height = one.image.size
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        square = one.image.crop((left, top, left + short, top + short)).resize((side, side), Image.Resampling.BICUBIC)
        canvas.paste(square, (column * side, row * side))
        mask = np.zeros((across * side, across * side), dtype=bool)
        mask[row * side : (row + 1) * side, column * side : (column + 1) * side] = True
        objects.append(Outlined(one.objects[0].name if one.objects else one.title or f"cell {number}", mask))
    return Photo(canvas, tuple(objects), "grid")
