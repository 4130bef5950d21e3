"""Targets of classification: the score of a class."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lessons_lib.core.accepted.values import whole
from lessons_lib.core.engine.outputs import kind_of, logits_of, way_out
from lessons_lib.core.records import Explainable, index_of, name_of, shown
from lessons_lib.core.targets.base import Target


@dataclass(frozen=True)
class ClassScore(Target):
    """The logit of one class, before softmax or sigmoid.

    Formula: y^c, "the score for class c (before the softmax)", section 3 of Selvaraju et al., arXiv 1610.02391. The
    logits may lie in a dict or a tuple (`outputs.logits_of`), if that leaves no doubt which row they are.

    Args:
        category: the class, by its index or by its name; `None` is the class with the highest logit.

    Raises:
        ValueError: the name or the index is not one of the model's.
        TypeError: the model's output holds no row of logits.

    Example:
        >>> explain(models.imagenet(), photos.cat(), ClassScore("tiger cat"))
        Heatmap(tiger cat, probability 0.39, score 9.24 · gradcam at bn2 · 7 × 7)
        >>> (heat,) = explain(my_model, batch, ClassScore(281), layer=my_model.layer4)
    """

    category: int | str | None = None

    def __call__(self, output: Any) -> Tensor:
        row = _row(output)
        return row[self._index(row)]

    def on(self, model: Explainable) -> "ClassScore":
        return ClassScore(index_of(self.category, model)) if isinstance(self.category, str) else self

    def settled(self, output: Any) -> "ClassScore":
        return ClassScore(self._index(_row(output)))

    def words(self, output: Any, model: Explainable) -> str:
        row = _row(output)
        index = self._index(row)
        if model.probability is None:
            return f"{name_of(index, model)}, score {row[index].item():.2f}"
        return f"{name_of(index, model)}, probability {shown(model.probabilities(row)[index].item())}"

    def _index(self, row: Tensor) -> int:
        if self.category is None:
            return int(row.argmax())
        if isinstance(self.category, str):
            raise TypeError(f"The class {self.category!r} is a name: look it up first, with `target.on(model)`.")
        index = whole(self.category)
        if 0 <= index < len(row):
            return index
        if len(row) == 1:
            raise ValueError(
                f"This model gives one logit, so there is no class {index}: take ll.ClassScore(0) for the "
                "positive class, or `lambda output: -output[0]` for the negative one."
            )
        raise ValueError(f"There is no class {index}: this model has {len(row)}, from 0 to {len(row) - 1}.")


def _row(output: Any) -> Tensor:
    row = logits_of(output, axes=1)
    parts = output if isinstance(output, list | tuple) else ()
    if row is None or sum(logits_of(part, axes=1) is not None for part in parts) > 1:  # features and logits, say
        raise TypeError(
            f"ClassScore needs one row of logits for each picture, and this model gives {kind_of(output)}: "
            f"{way_out(output)}."
        )
    return row
