"""What lesson 00 asks: the share of the heat that lies on an object, and a class whose map finds the rocket."""

from typing import Any

import torch
from torch import Tensor

from lessons_lib.core.explain import explain
from lessons_lib.photos.shipped import rocket
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.measuring import aim, categories, network, share


def _share(heat: Tensor, mask: Tensor) -> Tensor:
    return heat[mask].sum() / heat.sum()


_heat = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 4.0]])
_mask = torch.tensor([[False, False, True], [False, True, True]])

EXERCISES = {
    "share": Exercise(
        cases=[(_heat, _mask), (_heat, _mask.flip(1)), (0.01 * _heat.flip(0) ** 2, _mask)],
        right=_share,
        also_right=[
            lambda heat, mask: (heat * mask).sum() / heat.sum(),
            lambda heat, mask: float(torch.where(mask, heat, 0).sum()) / float(heat.sum()),
            lambda heat, mask: 1 - heat[~mask].sum() / heat.sum(),
        ],
        mistakes={
            "You return how much of the picture the object covers; asked is how much of the heat lies on it.": (
                lambda heat, mask: mask.float().mean()
            ),
            "You add up the heat on the object; divide that by the sum of all the heat.": (
                lambda heat, mask: heat[mask].sum()
            ),
            "You take the mean of the heat on the object; asked is its sum, divided by the sum of all the heat.": (
                lambda heat, mask: heat[mask].mean()
            ),
            "You return the share beside the object: your mask is turned round.": (
                lambda heat, mask: heat[~mask].sum() / heat.sum()
            ),
            "You divide by the heat beside the object; divide by all the heat.": (
                lambda heat, mask: heat[mask].sum() / heat[~mask].sum()
            ),
            "You divide two means, so you say how many times hotter the object is; divide the two sums.": (
                lambda heat, mask: heat[mask].mean() / heat.mean()
            ),
            "You count the pixels that have heat, or much of it; add up the heat itself.": (
                lambda heat, mask: (heat[mask] > 0).sum() / (heat > 0).sum(),
                lambda heat, mask: (heat[mask] > heat.mean()).sum() / (heat > heat.mean()).sum(),
                lambda heat, mask: (heat[mask] >= heat.max() / 2).sum() / (heat >= heat.max() / 2).sum(),
            ),
            "You take the mean over the whole picture; divide the heat on the object by all the heat.": (
                lambda heat, mask: (heat * mask).mean()
            ),
            "You divide two peaks; add up the heat on the object, and divide by the sum of all the heat.": (
                lambda heat, mask: heat[mask].max() / heat.max()
            ),
            "You return per cent; asked is a share from 0 to 1.": lambda heat, mask: 100 * _share(heat, mask),
        },
    ),
}


def _finds_the_rocket(answer: Any) -> tuple[bool, str]:
    photo = rocket()
    mask = photo.objects[0].mask
    heat = explain(network(), photo, aim(answer))
    return heat.share_on(mask) >= 4 * heat.luck_on(mask), f"{heat.words}. Heat on the rocket: {share(heat, mask)}."


EXPERIMENTS = {
    "rocket": Experiment(
        measure=_finds_the_rocket,
        example=lambda: "missile",
        found=[lambda: "Kerry blue terrier", lambda: "punching bag"],
        guess=lambda random: random.choice(categories()),
    ),
}
