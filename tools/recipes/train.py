"""Train the embedded models: one recipe each, from a seed, on a CPU or a GPU.

python -m tools.recipes.train vit             makes one again: weights, SHA-256 and card under data/weights
python -m tools.recipes.train --score all     scores what is stored there on 500 held-out scenes
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from lessons_lib import models
from lessons_lib.core.engine.names import near
from lessons_lib.models import weights
from lessons_lib.photos.collage import Scene
from tools.recipes import cards
from tools.recipes.fitting import (
    Batch,
    Loss,
    PatchLoss,
    augmented,
    box_loss,
    fit,
    label_loss,
    new_scenes,
    region_loss,
    rendered,
    token_loss,
)
from tools.recipes.places import unwritable
from tools.recipes.scores import HELD_OUT, Score, Scorer, all_of, box_scores, label_scores, peak_scores, region_scores


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights of a model, besides the seed, and how the model is scored.

    Args:
        record: the function in `models` that gives the model, trained or not.
        batches: from seed and number of steps to that many batches or more.
        loss: gives the loss, a function of network, pixels and truth.
        steps: how many steps AdamW takes.
        rate: the highest learning rate; it rises to that and falls again once (one-cycle).
        words: what the card says of the scenes.
        scorers: what is measured on the held-out scenes, in the card's order.
    """

    record: Callable[..., models.Explainable]
    batches: Callable[[int, int], Iterable[Batch]]
    loss: Callable[[], Loss]
    steps: int
    rate: float
    words: str
    scorers: tuple[Scorer, ...]


def make(name: str, device: str = "cpu", seed: int = 0, steps: int | None = None) -> nn.Module:
    """Return the network that the recipe `name` gives; the same weights for the same seed on one machine.

    Args:
        name: of the recipe.
        device: where it is trained, "cpu" or "cuda".
        seed: of weights, scenes and their order.
        steps: fewer than the recipe's, to try it.
    """
    recipe = RECIPES[name]
    steps = steps or recipe.steps
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        torch.manual_seed(seed)
        network = recipe.record(trained=False).network.to(device).to(memory_format=torch.channels_last)
        loss = recipe.loss()
        if isinstance(loss, torch.nn.Module):
            loss.to(device)
        fit(network, recipe.batches(seed, steps), loss, steps, recipe.rate)
    finally:
        torch.use_deterministic_algorithms(before)
    return network


def score(name: str, scenes: Sequence[Scene]) -> list[Score]:
    """Return the scores of the stored model `name` on `scenes`."""
    recipe = RECIPES[name]
    model = recipe.record()
    return [one for scorer in recipe.scorers for one in scorer(model, scenes)]


def write_card(name: str, device: str, seed: int, seconds: float, scenes: Sequence[Scene]) -> None:
    """Score the stored weights of `name` and write their card."""
    recipe = RECIPES[name]
    size = weights.path_of(name).stat().st_size
    entries = weights.trained(recipe.record(trained=False).network).values()
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
    cards.write(name, made, score(name, scenes), len(scenes), HELD_OUT.seed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see `python -m tools.recipes.train --help`."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.recipes.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help=f"the model to make: {', '.join(RECIPES)}")
    parser.add_argument("--score", metavar="NAME", help="score a stored model, or all of them, and make nothing")
    parser.add_argument("--write", action="store_true", help="with --score: put the scores into the card")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to train (default: cpu)")
    parser.add_argument(
        "--seed", type=int, default=0, help=f"of weights, scenes and order, below {HELD_OUT.seed:,} (default: 0)"
    )
    given = parser.parse_args(arguments)
    if (given.name is None) == (given.score is None):
        parser.error("name one model to make, or one to score with --score")
    known = [*RECIPES, *(["all"] if given.score is not None else [])]
    asked = given.score if given.name is None else given.name
    if asked not in known:
        parser.error(f"there is no recipe {asked!r}; {near(asked, known)}")
    if not 0 <= given.seed < HELD_OUT.seed:
        parser.error(f"the seed must be from 0 to {HELD_OUT.seed - 1}: {HELD_OUT.seed} draws the held-out scenes")
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("this machine has no GPU that torch can use: leave out --device")
    if given.write and given.score is None:
        parser.error("--write goes with --score: a model that is made gets its card anyway")
    if (given.name is not None or given.write) and (why := unwritable(weights.path_of(asked).parent)):
        parser.error(why)
    if given.score is not None:
        scenes = all_of(HELD_OUT)
        for name in RECIPES if asked == "all" else [asked]:
            measured = score(name, scenes)
            print("", name, *cards.table(measured), sep="\n", flush=True)
            if given.write:
                cards.rewrite(name, measured)
        return
    start = time.monotonic()
    weights.save(asked, make(asked, given.device, given.seed))
    write_card(asked, given.device, given.seed, time.monotonic() - start, all_of(HELD_OUT))
    print(weights.path_of(asked).with_suffix(".md").read_text(encoding="utf-8"))


def _new(batch: int, **normalisation: float) -> Callable[[int, int], Iterable[Batch]]:
    """Return a maker of batches in which every scene is new."""
    return lambda seed, steps: new_scenes(steps * batch, batch, seed, **normalisation)


def _kept(length: int, batch: int) -> Callable[[int, int], Iterable[Batch]]:
    """Return a maker of batches from scenes that are made once and kept in a small size."""
    return lambda seed, steps: augmented(*rendered(min(length, steps * batch), seed, workers=2), batch, seed)


RECIPES = {
    "detector": Recipe(
        record=models.detector,
        batches=_new(8),
        loss=lambda: box_loss,
        steps=450,
        rate=2e-3,
        words="8 new scenes a step",
        scorers=(box_scores,),
    ),
    "segmenter": Recipe(
        record=models.segmenter,
        batches=_new(8, mean=0.5, std=0.5),
        loss=lambda: region_loss,
        steps=450,
        rate=2e-3,
        words="8 new scenes a step",
        scorers=(region_scores,),
    ),
    "vit": Recipe(
        record=models.vit,
        batches=_kept(8000, 64),
        loss=lambda: token_loss,
        steps=700,
        rate=1e-3,
        words="64 of 8,000 scenes a step, mirrored and shifted at random; labels, and which kinds cover each patch",
        scorers=(label_scores, peak_scores),
    ),
    "swin": Recipe(
        record=models.swin,
        batches=_kept(6000, 32),
        loss=lambda: PatchLoss("norm", 192),
        steps=1200,
        rate=1e-3,
        words="32 of 6,000 scenes a step, mirrored and shifted at random; labels, and each patch's share of each kind",
        scorers=(label_scores, peak_scores),
    ),
    "flat_cnn": Recipe(
        record=models.flat_cnn,
        batches=_kept(3000, 64),
        loss=lambda: label_loss,
        steps=400,
        rate=2e-3,
        words="64 of 3,000 scenes a step, mirrored and shifted by up to 8 pixels at random",
        scorers=(label_scores,),
    ),
}

if __name__ == "__main__":
    main()
