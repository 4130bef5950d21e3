"""What lesson 12 asks of photographs of one's own: five findings, each measured again."""

from typing import Any

import numpy as np
from PIL import ImageOps

from lessons_lib.core.explain import at_layers, explain
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Outlined, Photo, shown
from lessons_lib.photos import collage, shipped
from lessons_lib.show import luck
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.explorer.choices import offer
from lessons_lib.teach.measuring import aim, categories, network, share


def framed(photo: Photo, colour: str = "saddlebrown") -> Photo:
    """Return the middle of a photo, 300 × 300, in a frame of 50 pixels whose outline is known.

    Example:
        >>> framed(photos.cat())
        cat, framed · 400 × 400 pixels · known outline: frame
    """
    inside = ImageOps.fit(photo.image.convert("RGB"), (300, 300))
    mask = np.ones((400, 400), dtype=bool)
    mask[50:350, 50:350] = False
    title = f"{photo.title or 'picture'}, framed"
    return Photo(ImageOps.expand(inside, 50, colour), (Outlined("frame", mask),), title)


def _parts(answer: Any, count: int, example: str) -> tuple[Any, ...]:
    """Return a learner's finding, taken apart.

    Raises:
        ValueError: it has other parts; what it looks like is said.
    """
    if not isinstance(answer, tuple | list) or len(answer) != count or not isinstance(answer[0], Photo):
        raise ValueError(f"Return a photo and what you found on it: `return {example}`.")
    return tuple(answer)


def _on_top(photo: Photo) -> list[str]:
    return [categories()[index] for index, _ in offer(network(), photo).top]


def _same_peak(answer: Any) -> tuple[bool, str]:
    photo, *names = _parts(answer, 3, 'll.photos.cat(), "tiger cat", "tabby"')
    heats = explain(network(), photo, [aim(name) for name in names])
    on_top = all(name in _on_top(photo) for name in names) and names[0] != names[1]
    told = " · ".join(f"{heat.words}: row {heat.peak[0] + 1}, column {heat.peak[1] + 1}" for heat in heats)
    return on_top and heats[0].peak == heats[1].peak, f"{told}. Two of the five on top: {'yes' if on_top else 'no'}."


def _moves(answer: Any) -> tuple[bool, str]:
    photo, one, other = _parts(answer, 3, 'll.photos.cat(), "blocks.4", "bn2"')
    heats = at_layers(network(), photo, layers=[one, other])
    (x, y), (u, v) = map(_place, heats)
    left, top, right, bottom = heats[0].region
    far = float(np.hypot(x - u, y - v) / min(right - left, bottom - top))
    return far >= 0.8, f"{heats[0].words}. Between the two peaks lie {far:.2f} of the side of what is seen."


def _place(heat: Heatmap) -> tuple[float, float]:
    """Return the middle of the hottest cell, in the photo's pixels."""
    left, top, right, bottom = heat.region
    (row, column), (rows, columns) = heat.peak, heat.values.shape
    return left + (column + 0.5) * (right - left) / columns, top + (row + 0.5) * (bottom - top) / rows


def _on_the_frame(answer: Any) -> tuple[bool, str]:
    photo, name = _parts(answer, 2, 'framed(ll.photos.cat()), "picket fence"')
    if "frame" not in photo.named():
        raise ValueError("Return a photo that `framed` made, so that it is known where the frame is.")
    mask, heat = np.logical_or.reduce(photo.named()["frame"]), explain(network(), photo, aim(name))
    found = heat.share_on(mask) >= 2 * heat.luck_on(mask) and heat.luck_on(mask) <= 1 / 3
    return found, f"{heat.words}. Heat on the frame: {share(heat, mask)}."


def _even(answer: Any) -> tuple[bool, str]:
    (photo,) = _parts(answer if isinstance(answer, tuple) else (answer,), 1, "ll.photos.cat()")
    heat = explain(network(), photo)
    hot = luck.held(heat)
    if hot is None:
        return False, f"{heat.words}. There is no heat."
    told = f"{100 * hot[0]:.0f} % of the heat lies where it is hotter than evenly spread, on {100 * hot[1]:.0f} %"
    return hot[0] < 0.6, f"{heat.words}. {told} of what is seen."


def _absent(answer: Any) -> tuple[bool, str]:
    photo, name = _parts(answer, 2, 'll.photos.rocket(), "violin"')
    if not photo.objects:
        raise ValueError("Return a photo with a known outline: one that ships, or a scene of `ll.collage`.")
    mask = np.logical_or.reduce([item.mask for item in photo.objects])
    top, other = explain(network(), photo, [aim(_on_top(photo)[0]), aim(name)])
    told = f"{top.words}: {share(top, mask)} of the heat on the objects. {other.words}: {share(other, mask)}."
    return shown(0) in other.words and other.share_on(mask) >= 2 * top.share_on(mask), told


def _any_photo(random: Any) -> Photo:
    some = [shipped.cat, shipped.coffee, shipped.astronaut, shipped.motorcycle, shipped.rocket]
    return random.choice([*some, *(lambda seed=seed: collage.scene(seed) for seed in range(1, 7))])()


def _middle_of_the_coffee() -> Photo:
    image = shipped.coffee().image
    width, height = image.size
    return Photo(image.crop((width // 3, height // 3, 2 * width // 3, 2 * height // 3)))


LAYERS = ("blocks.1", "blocks.2", "blocks.3", "blocks.4", "blocks.5", "bn2")

EXPERIMENTS = {
    "peak": Experiment(
        measure=_same_peak,
        example=lambda: (shipped.cat(), "tiger cat", "Egyptian cat"),
        found=[
            lambda: (shipped.coffee(), "espresso", "consomme"),
            lambda: (shipped.astronaut(), "barbell", "punching bag"),
        ],
        guess=lambda random: (_any_photo(random), *random.sample(categories(), 2)),
    ),
    "layer": Experiment(
        measure=_moves,
        example=lambda: (shipped.rocket(), "blocks.4", "bn2"),
        found=[lambda: (shipped.cat(), "blocks.5", "bn2"), lambda: (shipped.astronaut(), "blocks.4", "bn2")],
        guess=lambda random: (_any_photo(random), *random.sample(LAYERS, 2)),
    ),
    "frame": Experiment(
        measure=_on_the_frame,
        example=lambda: (framed(shipped.cat()), "Egyptian cat"),
        found=[
            lambda: (framed(shipped.cat()), "guillotine"),
            lambda: (framed(shipped.coffee(), "black"), "file"),
        ],
        guess=lambda random: (framed(_any_photo(random)), random.choice(categories())),
    ),
    "even": Experiment(
        measure=_even,
        example=shipped.coffee,
        found=[shipped.cat, _middle_of_the_coffee],
        guess=_any_photo,
    ),
    "absent": Experiment(
        measure=_absent,
        example=lambda: (shipped.rocket(), "projectile"),
        found=[
            lambda: (shipped.rocket(), "Kerry blue terrier"),
            lambda: (collage.scene(2), "plate"),
        ],
        guess=lambda random: (_any_photo(random), random.choice(categories())),
    ),
}

EXERCISES: dict[str, Any] = {}
