"""Lesson 09: tokens laid out in rows and columns, the last place with a gradient, and attention rolled out."""

from functools import cache, reduce
from random import Random
from typing import Any

import torch
from torch import Tensor

from lessons_lib.baselines.relevance import attention_relevance
from lessons_lib.core.explain import explain
from lessons_lib.core.targets import ClassScore
from lessons_lib.models.embedded import vit
from lessons_lib.photos.collage import Scene, scene
from lessons_lib.teach.exercise import Exercise
from lessons_lib.teach.experiment import Experiment
from lessons_lib.teach.measuring import a_kind, on, peak_on, share, told

# Grids of 2 × 3 and 3 × 2 behind one and two special tokens, so that no mistake hides behind a square.
_ONE = torch.arange(7 * 2.0).view(7, 2) ** 1.5
_TWO = torch.arange(8 * 3.0).view(8, 3).cos()


def _map(tokens: Tensor, rows: int, columns: int) -> Tensor:
    return tokens[-rows * columns :].unflatten(0, (rows, columns)).permute(2, 0, 1)


_grid = Exercise(
    cases=[(_ONE, 2, 3), (_TWO, 3, 2)],
    right=_map,
    also_right=[
        lambda t, h, w: t[len(t) - h * w :].T.reshape(-1, h, w),
        lambda t, h, w: (
            torch.stack([t[len(t) - h * w + i * w : len(t) - h * w + (i + 1) * w] for i in range(h)])
            .movedim(2, 0)
            .contiguous()
        ),
    ],
    mistakes={
        "You drop one token, and here two stand before the patches; count them: all but the last rows × columns.": (
            lambda t, h, w: _map(t[1 : 1 + h * w], h, w),
            lambda t, h, w: t[1:].T.reshape(-1, h, w),  # the others raise: one token is too many
            lambda t, h, w: t[1:].reshape(h, w, -1),
            lambda t, h, w: t[1:].unflatten(0, (h, w)),
        ),
        "You keep the special tokens and drop the last patches, so every cell is shifted.": (
            lambda t, h, w: _map(t[: h * w], h, w)
        ),
        "You swap rows and columns: the grid is rows × columns, and patches are numbered along the rows.": (
            lambda t, h, w: _map(t, w, h)
        ),
        "You number the patches down the columns; they are numbered along the rows.": (
            lambda t, h, w: _map(t, w, h).mT
        ),
        "You reshape without moving the channels, which mixes numbers of different patches; the shape is right, the "
        "map is not.": lambda t, h, w: t[-h * w :].reshape(-1, h, w),
        "The channels come last in your answer; maps are channels × rows × columns.": (
            lambda t, h, w: t[-h * w :].unflatten(0, (h, w))
        ),
    },
)

# Gradients at four layers, for a class token and three patches with two channels. The last that reaches a patch is
# layer 1, where it sums to zero; layer 0 has the largest; layer 2 and 3 reach the class token only.
_G = torch.zeros(4, 4, 2)
_G[0, 1:] = torch.tensor([[3.0, -1.0], [0.5, 0.0], [2.0, 1.0]])
_G[1, 2] = torch.tensor([0.25, -0.25])
_G[:, 0] = torch.tensor([0.2, 0.4])
_AHEAD = torch.zeros(3, 3, 1)
_AHEAD[:2, 1:] = torch.tensor([[[-3.0], [1.0]], [[-0.1], [-0.2]]])
_AHEAD[2, 0] = 5

_layer = Exercise(
    cases=[(_G,), (_AHEAD,), (_G[[1, 0, 2]],)],
    right=lambda g: max(i for i in range(len(g)) if g[i, 1:].any()),
    also_right=[
        lambda g: torch.where(g[:, 1:].flatten(1).any(dim=1))[0][-1],
        lambda g: (g[:, 1:].abs().amax(dim=(1, 2)) > 0).nonzero().max(),
    ],
    mistakes={
        "You count the class token's gradient, and that is there after the last block too; look at the patches.": (
            lambda g: max(i for i in range(len(g)) if g[i].any())
        ),
        "You add the gradient up, and what is positive and negative cancels; ask whether any number is not zero.": (
            lambda g: max(i for i in range(len(g)) if g[i, 1:].sum() != 0)
        ),
        "You drop negative gradients; a layer where all of them are negative has a say as well.": (
            lambda g: max(i for i in range(len(g)) if (g[i, 1:] > 0).any())
        ),
        "You take the first layer with a gradient; the last is asked for.": (
            lambda g: min(i for i in range(len(g)) if g[i, 1:].any())
        ),
        "You take the layer with the largest gradient; how large it is depends on the layer's scale.": (
            lambda g: g[:, 1:].abs().amax(dim=(1, 2)).argmax()
        ),
        "You return which layers have a gradient; the number of the last one is asked for.": (
            lambda g: g[:, 1:].flatten(1).any(dim=1)
        ),
    },
)


def _attention(seed: int, blocks: int, tokens: int) -> Tensor:
    return torch.randn(blocks, tokens, tokens, generator=torch.Generator().manual_seed(seed)).mul(2).softmax(dim=2)


def _rolled(attention: Tensor, keep: float = 0.5) -> Tensor:
    unit = torch.eye(attention.shape[1])
    return reduce(lambda below, W: ((1 - keep) * W + keep * unit) @ below, attention, unit)


def _backwards(attention: Tensor) -> Tensor:
    unit = torch.eye(attention.shape[1])
    return reduce(lambda below, W: below @ ((W + unit) / 2), attention, unit)


def _doubled(attention: Tensor) -> Tensor:
    unit = torch.eye(attention.shape[1])
    return reduce(lambda below, W: (W + unit) @ below, attention, unit)


_rollout = Exercise(
    cases=[(_attention(1, 3, 5),), (_attention(2, 2, 4),)],
    right=lambda attention: _rolled(attention)[0, 1:],
    also_right=[
        lambda a: torch.linalg.multi_dot([W / 2 + torch.eye(len(W)) / 2 for W in a.flip(0)])[0, 1:],
        lambda a: _doubled(a)[0, 1:] / 2 ** len(a),
    ],
    mistakes={
        "You multiply in the wrong order: each later block stands to the left of what came before it.": (
            lambda a: _backwards(a)[0, 1:]
        ),
        "You leave out the connection around the attention: half of each token stays with itself.": (
            lambda a: _rolled(a, keep=0.0)[0, 1:]
        ),
        "You add the identity without halving, so the rows no longer sum to 1.": lambda a: _doubled(a)[0, 1:],
        "You take the class token's column; what the class token has gathered stands in its row.": (
            lambda a: _rolled(a)[1:, 0]
        ),
        "You keep the class token's share of itself; the patches' shares are asked for.": lambda a: _rolled(a)[0],
        "You take the last block alone; the blocks before it have already mixed the patches.": (
            lambda a: _rolled(a[-1:])[0, 1:],
            lambda a: a[-1, 0, 1:],
        ),
        "You take the mean of the blocks; each mixes what the one before it gave, so they are multiplied.": (
            lambda a: ((a + torch.eye(a.shape[1])) / 2).mean(dim=0)[0, 1:],
            lambda a: a.mean(dim=0)[0, 1:],
        ),
        "You multiply cell by cell (`*`); the product of matrices (`@`) is asked for.": (
            lambda a: ((a + torch.eye(a.shape[1])) / 2).prod(dim=0)[0, 1:]
        ),
    },
)

EXERCISES = {"grid": _grid, "layer": _layer, "rollout": _rollout}

_network = cache(vit)


def _rescues(answer: Any) -> tuple[bool, str]:
    scene, kind = a_kind(answer)
    if kind == "rocket":
        raise ValueError("The lesson has the rocket already: return another kind.")
    heats = explain(_network(), scene, ClassScore(kind)), attention_relevance(_network(), scene, ClassScore(kind))
    hits = [peak_on(heat, on(scene, kind)) for heat in heats]
    names = "Grad-CAM at the last block", "relevance"
    return hits == [False, True], told(names, hits, kind, [share(heat, on(scene, kind)) for heat in heats])


def _any_but_the_rocket(random: Random) -> tuple[Scene, str]:
    while True:
        guess = scene(random.randrange(1000, 9000))
        if kinds := sorted({item.name for item in guess.objects} - {"rocket"}):
            return guess, random.choice(kinds)


EXPERIMENTS = {
    "rescued": Experiment(
        measure=_rescues,
        example=lambda: (scene(6, count=3, background="brick"), "cat"),
        found=[lambda: (scene(14), "motorcycle"), lambda: (scene(21), "motorcycle")],
        guess=_any_but_the_rocket,
    ),
}
