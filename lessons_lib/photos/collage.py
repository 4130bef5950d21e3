"""Making scenes: objects cut from photographs and pasted on a ground, so that each object's pixels are known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import tv_tensors

from lessons_lib.core.records import Outlined, Photo
from lessons_lib.core.resources import needs
from lessons_lib.photos import options
from lessons_lib.photos.cutouts import BACKGROUNDS, disc, ground, lit, shade, slope, turned

KINDS = ("cat", "coffee cup", "astronaut", "motorcycle", "rocket")

_MARGIN = 0.012  # objects keep this share of the scene's side clear of the frame …
_CORNER = 0.085  # … and this share clear in the top left corner, in every scene, where a shortcut's mark may stand
_MARK_COLOUR = (255, 20, 190)
_LONGEST = 0.75  # no object is wider or higher than this share of the side, however thin it is
_FULL = 0.4  # objects cover no more than this share of the scene together, on average
_TRIES, _LAYOUTS, _SHRINK = 40, 15, 0.95


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Scene(Photo):
    """A collage and its truth; `objects` are in the order of pasting, their masks hold the visible pixels only.

    `mark` is H×W bool, true where a shortcut's mark is painted; all false without one.
    """

    mark: np.ndarray

    @property
    def labels(self) -> torch.Tensor:
        """K int64 indices into `KINDS`, one for each object."""
        return torch.tensor([KINDS.index(item.name) for item in self.objects], device="cpu")

    @property
    def masks(self) -> tv_tensors.Mask:
        """K×H×W bool: the visible pixels of each object; no pixel belongs to two."""
        return tv_tensors.Mask(torch.from_numpy(np.stack([item.mask for item in self.objects])), device="cpu")

    @property
    def boxes(self) -> tv_tensors.BoundingBoxes:
        """K×4 float32 (left, top, right, bottom) around the visible pixels, as edges: 0…width, 0…height."""
        data = torch.tensor([item.edges for item in self.objects], device="cpu")
        return tv_tensors.BoundingBoxes(data, device="cpu", format="XYXY", canvas_size=self.image.size[::-1])

    @property
    def label_map(self) -> tv_tensors.Mask:
        """H×W uint8: 0 where the ground is seen, 1 + index into `KINDS` where an object is."""
        kinds = np.zeros(self.image.size[::-1], np.uint8)
        for item in self.objects:
            kinds[item.mask] = 1 + KINDS.index(item.name)
        return tv_tensors.Mask(torch.from_numpy(kinds), device="cpu")


class Scenes(Dataset[tuple[tv_tensors.Image, dict[str, torch.Tensor]]]):
    """A data set of scenes for torch: item i is the image (3×size×size uint8) and a dict of the truth.

    The dict holds `boxes`, `labels`, `masks` and `label_map`, as `Scene` describes them.

    Args:
        length: how many scenes there are.
        seed: the same one and the same options give the same bytes in every process.
        how: the options of `scene`; wrong ones raise here.

    Example:
        >>> image, truth = collage.Scenes(8000, seed=1, count=(1, 3))[0]
        >>> image.shape, truth["boxes"].shape
        (torch.Size([3, 224, 224]), torch.Size([2, 4]))
    """

    def __init__(self, length: int, seed: int = 0, **how: Any) -> None:
        if not options.whole(length):
            raise TypeError(f"A data set of {length!r} scenes can't be: give a whole number, 1 or more.")
        if length < 1:
            raise ValueError(f"A data set of {length} scenes is empty: give a length of 1 or more.")
        self.length, self.seed, self.options = length, seed, how
        self.scene(0)

    def __len__(self) -> int:
        return self.length

    def scene(self, index: int) -> Scene:
        """Return item `index` as a `Scene`; a negative index counts from the end."""
        if not options.whole(index):
            raise TypeError(f"A scene is taken by its number, not by {index!r}: `scenes[0]`.")
        if not -self.length <= index < self.length:
            raise IndexError(f"There is no scene {index}: this data set has {self.length}.")
        return scene((self.seed, index % self.length), **self.options)

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, dict[str, torch.Tensor]]:
        made = self.scene(index)
        pixels = torch.from_numpy(np.asarray(made.image).transpose(2, 0, 1).copy())
        truth = {"boxes": made.boxes, "labels": made.labels, "masks": made.masks, "label_map": made.label_map}
        return tv_tensors.Image(pixels), truth


def scene(
    seed: int | Sequence[int],
    *,
    size: int = 224,
    kinds: Sequence[str] = KINDS,
    count: int | tuple[int, int] = (1, 3),
    copies: bool = False,
    overlap: float = 0.1,
    area: tuple[float, float] = (0.05, 0.18),
    turn: float = 30.0,
    light: tuple[float, float] = (0.8, 1.2),
    background: str | None = None,
    shortcut: str | None = None,
) -> Scene:
    """Make one scene: objects scaled, turned, mirrored and re-lit on a tinted ground, the same bytes for the same seed.

    Sizes are drawn by area, so that the thin rocket is as easy to see as the cat, and no object is longer than three
    quarters of the scene. When the mean of `area` times the number of objects is above 0.4, all are drawn smaller by
    the same factor, so that it is 0.4. When one finds no place in 40 tries, the scene is laid out again with all
    objects 5 % smaller, up to 15 times.

    Args:
        seed: an int of 0 or more, or several, as `numpy.random.SeedSequence` takes them.
        size: height and width in pixels, 64 or more.
        kinds: what may appear, from `KINDS`.
        count: how many objects, or the least and the most.
        copies: all objects of one kind ("seven cats": `kinds=["cat"], count=7`, or any kind: `count=7, copies=True`);
            else all kinds are used once before one comes again.
        overlap: the largest share of any object, 0…1, that those pasted after it may hide together.
        area: the smallest and largest share of the scene that one object covers.
        turn: the largest turn to either side, in degrees.
        light: the darkest and brightest light; 1 leaves the photographs as they are.
        background: "brick", "grass" or "gravel"; None draws one of them.
        shortcut: a kind; wherever it appears, a pink disc is painted in the top left corner, which objects never
            enter. Without it the same seed gives the same scene without the disc.

    Raises:
        ValueError: an argument is out of its range, a name is unknown, or the objects do not fit.

    Example:
        >>> collage.scene(3, count=7, copies=True, kinds=["cat"])
        collage · 224 × 224 pixels · known outline: 7 × cat
    """
    options.seeds(seed)
    kinds = options.several(kinds, KINDS, "kind")
    if shortcut is not None:
        options.known(shortcut, KINDS, "kind")
    size = options.side(size)
    least, most = options.counts(count)
    overlap = options.number("overlap", overlap, 0, 1, "is no share: give 0 (nothing hidden) to 1")
    area = options.span("area", area, 0.5, "is no range of shares: give (smallest, largest) in 0…0.5")
    turn = options.number("turn", turn, 0, 360, "is no angle: give 0 to 360 degrees")
    light = options.span("light", light, math.inf, "is no range: give (darkest, brightest), both above 0")
    if background is not None:
        options.known(background, BACKGROUNDS, "background")
    needs("collage.scene()", "scipy", "skimage")

    random = np.random.default_rng(np.random.SeedSequence(seed))
    under = background if background is not None else str(random.choice(BACKGROUNDS))
    exposure = random.uniform(*light) * random.uniform((0.95, 0.97, 0.92), (1.05, 1.03, 1.08))  # one colour of light
    sun = random.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(sun), np.sin(sun)])
    canvas = ground(under, size, exposure, random)
    names = _names(list(kinds), int(random.integers(least, most + 1)), copies, random)
    layout, owner = _layout(names, size, overlap, area, turn, random)
    for paste, left, top in layout:
        alpha = paste.getchannel("A")
        shade(canvas, alpha, left, top, towards)
        canvas.paste(lit(paste.convert("RGB"), exposure * random.uniform(0.92, 1.08)), (left, top), alpha)
    slope(canvas, towards)
    mark = np.zeros((size, size), bool)
    if shortcut in names:
        dot = disc(size)
        canvas.paste(_MARK_COLOUR, (0, 0), dot)
        mark[: dot.height, : dot.width] = np.asarray(dot) >= 128
    seen = [owner == index for index in range(len(names))]
    for mask in (*seen, mark):
        mask.flags.writeable = False
    return Scene(canvas, tuple(map(Outlined, names, seen)), "collage", mark=mark)


def _names(kinds: list[str], count: int, copies: bool, random: np.random.Generator) -> list[str]:
    if copies:
        return [str(random.choice(kinds))] * count
    rounds = -(-count // len(kinds))
    return [str(kind) for _ in range(rounds) for kind in random.permutation(kinds)][:count]


def _layout(
    names: list[str],
    size: int,
    overlap: float,
    area: tuple[float, float],
    turn: float,
    random: np.random.Generator,
) -> tuple[list[tuple[Image.Image, int, int]], np.ndarray]:
    """Return each object as it is to be pasted (RGBA, left, top), and which of them each pixel shows (-1: none)."""
    crowd = min(1.0, _FULL / (len(names) * (area[0] + area[1]) / 2))
    most = 0
    for attempt in range(_LAYOUTS):
        owner = np.full((size, size), -1)
        placed: list[tuple[Image.Image, int, int]] = []
        areas: list[int] = []
        for name in names:
            share = random.uniform(*area) * crowd * _SHRINK**attempt
            angle, mirrored = random.uniform(-turn, turn), random.random() < 0.5
            paste = turned(name, share * size * size, angle, mirrored, _LONGEST * size)
            solid = np.asarray(paste.getchannel("A")) >= 128
            spot = _spot(solid, owner, areas, overlap, random)
            if spot is None:
                break
            left, top = spot
            owner[top : top + paste.height, left : left + paste.width][solid] = len(areas)
            areas.append(int(solid.sum()))
            placed.append((paste, left, top))
        else:
            return placed, owner
        most = max(most, len(placed))
    raise ValueError(
        f"Only {most} of {len(names)} objects fit: ask for fewer (count), smaller ones (area), more overlap or a "
        "larger size."
    )


def _spot(
    solid: np.ndarray, owner: np.ndarray, areas: list[int], overlap: float, random: np.random.Generator
) -> tuple[int, int] | None:
    """Return a left and top at which an object hides no more of the others than allowed; None if 40 tries find none."""
    size, (height, width) = len(owner), solid.shape
    edge, corner = max(1, round(_MARGIN * size)), round(_CORNER * size)
    visible = np.bincount(owner[owner >= 0], minlength=len(areas))
    room = size - 2 * edge - np.array([width, height]) + 1
    for left, top in edge + (random.random((_TRIES, 2)) * room).astype(int):
        if left < corner and top < corner and solid[: max(0, corner - top), : max(0, corner - left)].any():
            continue
        under = owner[top : top + height, left : left + width][solid]
        hidden = np.bincount(under[under >= 0], minlength=len(areas))
        if all(whole - v + h <= overlap * whole for whole, v, h in zip(areas, visible, hidden, strict=True)):
            return int(left), int(top)
    return None
