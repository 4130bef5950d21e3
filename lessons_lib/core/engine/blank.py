"""Why a map shows nothing, or nothing but rounding: one cause, in words."""

import math

from torch import Tensor

from lessons_lib.core.engine.captured import Captured

SATURATED = "the score is saturated, where a softmax or sigmoid is flat; explain the logit instead"


def cause(values: Tensor, seen: Captured, index: int) -> str | None:
    """Return why picture `index`'s map, H×W, shows nothing, and what to do about it; None if it shows something."""
    least, most = (float(end) for end in values.aminmax())
    if not math.isfinite(least + most):
        return "it holds values that are not finite; look for NaN or infinity in the input and in the weights"
    gradients = seen.gradients[index] if seen.question and "gradients" in vars(seen.question) else None
    if most > max(least, 0):
        if gradients is None or not _rounding(max(-least, most), gradients, seen.activations[index]):
            return None
        return (
            f"what each cell adds up at {seen.layer} cancels, and the rest is rounding. So it is where a norm follows, "
            "which takes the size of a cell away; take `method=ll.gradcam`, or the layer behind that norm"
        )
    if gradients is not None and not gradients.any():
        if _saturated(seen.scores[index]):
            return SATURATED
        return (
            f"the gradient of the score is zero everywhere at {seen.layer}; choose an earlier layer or another target"
        )
    if (seen.activations[index].std(dim=(1, 2), correction=0) == 0).all():
        return f"the activations at {seen.layer} are the same everywhere; choose an earlier layer"
    if gradients is None and not values.any():
        if _saturated(seen.scores[index]):
            return SATURATED
        return f"the score is the same without any one map of {seen.layer}; choose another layer or another target"
    if gradients is not None and gradients.max() <= 0 and not values.any():
        return (
            f"all gradients at {seen.layer} are negative before the method's own ReLU, so everything there speaks "
            "against it; take `method=ll.hirescam`, which has no such ReLU, and see `heat.values`"
        )
    if most == least:
        return f"the weighted maps at {seen.layer} add up to one value everywhere; choose another layer or method"
    return (
        f"all values are negative before the ReLU, so everything at {seen.layer} speaks against it; see `heat.values`"
    )


def _rounding(highest: float, gradients: Tensor, activations: Tensor) -> bool:
    """Return whether gradient × activation cancels in every cell and the map holds no more than float32's rounding.

    Both must be: an averaged gradient makes small maps that are no rounding. `highest` is the map's largest value, of
    either sign.
    """
    # No cell adds up more than this, so most maps are let through without a look at each cell.
    if highest >= 1e-5 * len(gradients) * _largest(gradients) * _largest(activations):
        return False
    products = (gradients * activations).flatten(1).cpu()
    least = 1e-5 * float(products.abs().sum(dim=0).max())
    return highest < least and float(products.sum(dim=0).abs().max()) < least


def _largest(values: Tensor) -> float:
    low, high = values.aminmax()
    return max(-float(low), float(high))


def _saturated(score: Tensor) -> bool:
    """Return whether a score lies at 0 or 1 and a softmax or sigmoid stands between it and the layer."""
    if min(abs(score.item()), abs(score.item() - 1)) > 1e-6:
        return False
    waiting, met = [score.grad_fn], set()
    while waiting:
        step = waiting.pop()
        if step is None or step in met:
            continue
        if "Softmax" in step.name() or "Sigmoid" in step.name():
            return True
        met.add(step)
        waiting += [earlier for earlier, _ in step.next_functions]
    return False
