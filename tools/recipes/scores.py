"""How good the embedded models are, on scenes whose truth is known: each score, what it counts, and how sure it is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lessons_lib.core.methods import Method, gradcam
from lessons_lib.core.records import Box, Explainable
from lessons_lib.core.targets import ClassScore
from lessons_lib.metrics.tables import quiet
from lessons_lib.metrics.truth import centre_of_peak, matches
from lessons_lib.photos.collage import KINDS, Scene, Scenes

HELD_OUT = Scenes(500, seed=2_000_000)  # no recipe draws from this seed
_CHUNK = 25


@dataclass(frozen=True)
class Score:
    """A share measured on N scenes: Σ hits / Σ of over the scenes, averaged over the K columns.

    Args:
        name: as the card says it.
        hits: N×K counts of what is right; K = 1 for a plain share, K classes for a mean IoU.
        of: N×K counts of what could be right.
        definition: in words.
    """

    name: str
    hits: Tensor
    of: Tensor
    definition: str

    @property
    def value(self) -> float:
        return float((self.hits.sum(0) / self.of.sum(0)).mean())

    @property
    def error(self) -> float:
        """The standard error of `value`, scene by scene as objects of one scene are not independent.

        The ratio estimator's, Cochran, "Sampling Techniques", eq. (6.13), without its finite-population factor.
        One more scene in which everything fails is counted, so that a score of 1 is not held to be certain.
        """
        totals = self.of.sum(0)
        each = self.hits - self.hits.sum(0) / totals * self.of
        residuals = (each / totals).mean(1)
        return float((residuals.square().sum() + (self.value / len(self.of)) ** 2).sqrt())


def box_scores(model: Explainable, scenes: Sequence[Scene]) -> list[Score]:
    """Return recall and precision of a detector's boxes at IoU 0.5 and score 0.5."""
    found, true, given = [], [], []
    for part, output in _outputs(model, scenes):
        for scene, answer in zip(part, output, strict=True):
            sure = answer["scores"] > 0.5
            parts = (answer[key][sure].tolist() for key in ("labels", "scores", "boxes"))
            boxes = [Box(KINDS[label - 1], score, edges) for label, score, edges in zip(*parts, strict=True)]
            found.append(len(matches(boxes, scene)))
            true.append(len(scene.objects))
            given.append(int(sure.sum()))
    right = "same kind, IoU ≥ 0.5 with its box, score > 0.5, each object matched once, best score first"
    return [
        Score("recall", _column(found), _column(true), f"objects with a box: {right}"),
        Score("precision", _column(found), _column(given), f"boxes of score > 0.5 with an object: {right}"),
    ]


def region_scores(model: Explainable, scenes: Sequence[Scene]) -> list[Score]:
    """Return a segmenter's mean IoU over the object classes, pixels of all scenes counted together."""
    shared, either = [], []
    for part, output in _outputs(model, scenes):
        for scene, guess in zip(part, output["out"].argmax(1), strict=True):
            pairs = [(guess == kind, scene.label_map == kind) for kind in range(1, 1 + len(KINDS))]
            shared.append([int((a & b).sum()) for a, b in pairs])
            either.append([int((a | b).sum()) for a, b in pairs])
    meaning = f"pixels in both ÷ pixels in either, over all scenes, mean of the {len(KINDS)} kinds without background"
    return [Score("mean IoU", torch.tensor(shared).double(), torch.tensor(either).double(), meaning)]


def label_scores(model: Explainable, scenes: Sequence[Scene]) -> list[Score]:
    """Return how many labels a classifier gets right, and in how many scenes all of them."""
    right = []
    for part, output in _outputs(model, scenes):
        present = torch.stack([torch.zeros(len(KINDS)).index_fill(0, scene.labels, 1) for scene in part])
        right.append((output > 0) == present.bool())
    each = torch.cat(right).double()
    every = each.all(1, keepdim=True).double()
    rule = f"present or absent at probability 0.5, {len(KINDS)} labels a scene"
    return [
        Score("labels right", each.sum(1, keepdim=True), torch.full_like(every, len(KINDS)), rule),
        Score("scenes right", every, torch.ones_like(every), f"scenes in which every label is right; {rule}"),
    ]


def peak_scores(model: Explainable, scenes: Sequence[Scene], method: Method = gradcam) -> list[Score]:
    """Return how often a heatmap's peak lies on an object of the explained kind, at the model's default layer."""
    hits = torch.zeros(len(scenes), 1).double()
    asked = [(index, kind) for index, scene in enumerate(scenes) for kind in sorted(set(scene.labels.tolist()))]
    for start in range(0, len(asked), 2 * _CHUNK):
        part = asked[start : start + 2 * _CHUNK]
        heats = quiet(model, [scenes[i] for i, _ in part], [ClassScore(kind) for _, kind in part], method)
        for (index, kind), heat in zip(part, heats, strict=True):
            hits[index] += bool(scenes[index].label_map[centre_of_peak(heat)] == 1 + kind)
    of = torch.tensor([[len(set(scene.labels.tolist()))] for scene in scenes]).double()
    meaning = "maps, one for every kind present, whose peak cell's centre lies on an object of that kind; "
    meaning += f"{method.__name__} at {model.layer}"
    return [Score("peak on object", hits, of, meaning)]


Scorer = Callable[[Explainable, Sequence[Scene]], list[Score]]
"""From a model and scenes to its scores on them."""


def all_of(scenes: Scenes) -> list[Scene]:
    """Make all scenes of a data set, with a progress bar."""
    from tqdm.auto import tqdm

    return [scenes.scene(index) for index in tqdm(range(len(scenes)), desc="making scenes", unit=" scenes")]


def _outputs(model: Explainable, scenes: Sequence[Scene]) -> Iterator[tuple[Sequence[Scene], Any]]:
    """Yield some scenes at a time with the network's output on them."""
    if model.transform is None:
        raise ValueError("A model is scored on pictures, and this one comes without a transform.")
    for start in range(0, len(scenes), _CHUNK):
        part = scenes[start : start + _CHUNK]
        batch = torch.stack([model.transform(scene.image) for scene in part])
        with torch.inference_mode():
            # Convolutions on a CPU run several times faster with the channels last in memory.
            yield part, model.network(batch.contiguous(memory_format=torch.channels_last))


def _column(counts: list[int]) -> Tensor:
    return torch.tensor(counts, dtype=torch.float64)[:, None]
