"""How the embedded models were made: one recipe each, from a seed, on a CPU or a GPU.

python -m tools.recipes.train vit             makes one again: weights, SHA-256 and card under data/weights
python -m tools.recipes.train --score all     scores what is stored there on 500 held-out scenes
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import nn

from lessons_lib import models
from lessons_lib.models import networks, weights
from lessons_lib.photos.collage import KINDS, Scene
from tools.recipes import cards, scores
from tools.recipes.fitting import (
    Batch,
    Loss,
    PatchLoss,
    box_loss,
    drawn,
    fit,
    label_loss,
    new_scenes,
    region_loss,
    rendered,
    token_loss,
)


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights of a model, besides the seed.

    Args:
        build: the network at random, on EfficientNet-Lite0 where it has a frozen part.
        batches: from seed and steps to batches without end.
        loss: from nothing to a function of network, pixels and truth that gives one number.
        steps, rate: how often and how far AdamW steps; the rate rises and falls once (one-cycle).
        words: what the card says of the scenes.
    """

    build: Callable[[], nn.Module]
    batches: Callable[[int, int], Iterable[Batch]]
    loss: Callable[[], Loss]
    steps: int
    rate: float
    words: str


def make(name: str, device: str = "cpu", seed: int = 0, steps: int | None = None) -> nn.Module:
    """Return the network that the recipe `name` gives; the same weights for the same seed on one machine.

    Args:
        steps: fewer than the recipe's, to try it.
    """
    recipe = RECIPES[name]
    steps = steps or recipe.steps
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        torch.manual_seed(seed)
        network = recipe.build().to(device).to(memory_format=torch.channels_last)
        loss = recipe.loss()
        if isinstance(loss, torch.nn.Module):
            loss.to(device)
        fit(network, recipe.batches(seed, steps), loss, steps, recipe.rate)
    finally:
        torch.use_deterministic_algorithms(before)
    return network


def write_card(name: str, device: str, seed: int, seconds: float, scenes: Sequence[Scene]) -> None:
    """Score the stored weights of `name` and write their card."""
    recipe = RECIPES[name]
    size = weights.stored(name).stat().st_size
    entries = weights.trained(recipe.build()).values()
    kind = (
        f"{torch.get_num_threads()} CPU core{'s' * (torch.get_num_threads() > 1)}"
        if device == "cpu"
        else torch.cuda.get_device_name(device)
    )
    made = [
        ("seed", str(seed)),
        ("steps", f"{recipe.steps:,} of AdamW, rate up to {recipe.rate:g} (one-cycle)"),
        ("scenes", recipe.words),
        ("trained weights", f"{sum(entry.numel() for entry in entries):,}, stored in {size / 1e6:.1f} MB"),
        ("time", f"{seconds / 60:.1f} min on {kind}"),
    ]
    cards.write(name, made, scores.score(name, scenes), len(scenes), scores.HELD_OUT.seed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see `python -m tools.recipes.train --help`."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.recipes.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help=f"the model to make: {', '.join(RECIPES)}")
    parser.add_argument("--score", metavar="NAME", help="score a stored model, or all of them, and make nothing")
    parser.add_argument("--write", action="store_true", help="with --score: put the figures into the card")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to train (default: cpu)")
    parser.add_argument(
        "--seed", type=int, default=0, help=f"of weights, scenes and order, below {scores.HELD_OUT.seed:,} (default: 0)"
    )
    given = parser.parse_args(arguments)
    if (given.name is None) == (given.score is None):
        parser.error("name one model to make, or one to score with --score")
    known = [*RECIPES, *(["all"] if given.score else [])]
    if (asked := given.name or given.score) not in known:
        near = get_close_matches(asked, known, n=3, cutoff=0.3) or known
        parser.error(f"there is no recipe {asked!r}; near it: {', '.join(near)}")
    if not 0 <= given.seed < scores.HELD_OUT.seed:
        parser.error(
            f"the seed must be from 0 to {scores.HELD_OUT.seed - 1}: {scores.HELD_OUT.seed} draws the held-out scenes"
        )
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("this machine has no GPU that torch can use: leave out --device")
    if given.write and not given.score:
        parser.error("--write goes with --score: a model that is made gets its card anyway")
    if given.score:
        scenes = scores.drawn(scores.HELD_OUT)
        for name in RECIPES if asked == "all" else [asked]:
            figures = scores.score(name, scenes)
            print("", name, *cards.table(figures), sep="\n", flush=True)
            if given.write:
                cards.rewrite(name, figures)
        return
    start = time.monotonic()
    weights.save(asked, make(asked, given.device, given.seed))
    write_card(asked, given.device, given.seed, time.monotonic() - start, scores.drawn(scores.HELD_OUT))
    print(weights.stored(asked).with_suffix(".md").read_text(encoding="utf-8"))


def _new(batch: int, **normalisation: float) -> Callable[[int, int], Iterable[Batch]]:
    """Return a maker of batches in which every scene is new."""
    return lambda seed, steps: new_scenes(steps * batch, batch, seed, **normalisation)


def _kept(length: int, batch: int) -> Callable[[int, int], Iterable[Batch]]:
    """Return a maker of batches from scenes that are drawn once and kept small."""
    return lambda seed, steps: drawn(*rendered(min(length, steps * batch), seed, workers=2), batch, seed)


RECIPES = {
    "detector": Recipe(
        build=lambda: networks.detector(models.imagenet().network, 1 + len(KINDS)),
        batches=_new(8),
        loss=lambda: box_loss,
        steps=450,
        rate=2e-3,
        words="8 new scenes a step",
    ),
    "segmenter": Recipe(
        build=lambda: networks.segmenter(models.imagenet().network, 1 + len(KINDS)),
        batches=_new(8, mean=0.5, std=0.5),
        loss=lambda: region_loss,
        steps=450,
        rate=2e-3,
        words="8 new scenes a step",
    ),
    "vit": Recipe(
        build=lambda: networks.vit(len(KINDS)),
        batches=_kept(8000, 64),
        loss=lambda: token_loss,
        steps=700,
        rate=1e-3,
        words="64 of 8,000 scenes a step, mirrored and shifted at random; labels, and which kinds cover each patch",
    ),
    "swin": Recipe(
        build=lambda: networks.swin(len(KINDS)),
        batches=_kept(6000, 32),
        loss=lambda: PatchLoss("norm", 192),
        steps=1200,
        rate=1e-3,
        words="32 of 6,000 scenes a step, mirrored and shifted at random; labels, and each patch's share of each kind",
    ),
    "flat_cnn": Recipe(
        build=lambda: networks.flat_cnn(len(KINDS)),
        batches=_kept(3000, 64),
        loss=lambda: label_loss,
        steps=400,
        rate=2e-3,
        words="64 of 3,000 scenes a step, mirrored and shifted by up to 8 pixels at random",
    ),
}

if __name__ == "__main__":
    main()
