"""A target that does not fit the output is told with one that does, made from what is there: it works when typed."""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lessons_lib as ll

X = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Answering(nn.Module):
    """A classifier of four whose answer takes a form of its own."""

    def __init__(self, form: Callable[[Tensor], Any]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 3, 2, 1))
        self.form = form

    def forward(self, x: Tensor) -> Any:
        return self.form(self.body(x))


def pooled(A: Tensor) -> Tensor:
    return A.mean(dim=(2, 3))


def boxes(A: Tensor) -> list[dict[str, Tensor]]:
    scores = pooled(A).sigmoid()
    edges = torch.tensor([[0.0, 0.0, 8.0, 8.0]]).expand(4, 4)
    return [{"boxes": edges, "labels": torch.arange(4), "scores": one} for one in scores]


FORMS: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "one squeezed logit": (lambda A: pooled(A)[:, :1].squeeze(), "lambda output: output"),
    "one logit each": (lambda A: pooled(A)[:, 0], "lambda output: output"),
    "K × 1 × 1": (lambda A: A.mean(dim=(2, 3), keepdim=True), r"lambda output: output\[3, 0, 0\]"),
    "a sequence": (lambda A: A.flatten(2).mT, r"lambda output: output\[3, 0\]"),
    "maps": (lambda A: A, r"ll\.PixelScore\(4, 4\), ll\.RegionScore\(\d\)"),
    "maps in a dict": (lambda A: {"out": A, "aux": A}, r"ll\.PixelScore\(4, 4\), ll\.RegionScore\(\d\)"),
    "one map": (lambda A: A[:, :1].abs(), r"ll\.PixelScore\(4, 4\), ll\.RegionScore\(0\)"),
    "boxes": (boxes, r"ll\.BoxScore\(0\)"),
    "features and logits": (lambda A: (A.flatten(1), pooled(A)), r"lambda output: output\[1\]\[3\]"),
    "names of its own": (
        lambda A: {"ids": A.argmax(1), "hits": {"best": pooled(A)}},
        r"output\['hits'\]\['best'\]\[3\]",
    ),
    "an object": (lambda A: SimpleNamespace(name="cats", scores=pooled(A)), r"lambda output: output\.scores\[0, 3\]"),
}


@pytest.mark.parametrize("form", FORMS)
def test_without_a_target_that_fits_the_sentence_names_one_and_it_works(form: str) -> None:
    network = Answering(FORMS[form][0]).eval()
    with pytest.raises(TypeError, match="ClassScore needs one row of logits for each picture") as told:
        ll.explain(network, X)
    advice = re.findall(r"`(.*?)`", str(told.value))
    assert re.search(FORMS[form][1], ", ".join(advice))
    for target in advice:
        (heat,) = ll.explain(network, X, eval(target, {"ll": ll}), layer="body.1", method=ll.hirescam)
        assert heat.values.any(), target


@pytest.mark.parametrize(
    ("form", "target", "advice"),
    [
        (pooled, ll.PixelScore(3, 3), "one row of logits, so take `ll.ClassScore(0)`"),
        (pooled, ll.BoxScore(0), "one row of logits, so take `ll.ClassScore(0)`"),
        (boxes, ll.RegionScore(0), "it finds boxes, so take `ll.BoxScore(0)`"),
        (lambda A: A, ll.BoxScore(0), "it gives maps, so take `ll.PixelScore(4, 4)`"),
        (lambda A: A.flatten(2).mT, ll.PixelScore(3, 3), "`lambda output: output[3, 0]`"),
        (
            lambda A: A.argmax(dim=1)[:, 0, 0],
            None,
            "no number in it to explain: let the model's forward return its scores",
        ),
        (lambda A: "cat", None, "no number in it to explain: let the model's forward return its scores"),
    ],
)
def test_a_target_of_another_task_is_told_with_the_one_that_fits(form: Any, target: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=re.escape(advice)):
        ll.explain(Answering(form), X, target)


@pytest.mark.parametrize("target", [None, 3, ll.PixelScore(0, 0), ll.BoxScore(0), lambda output: output[3]])
@pytest.mark.parametrize("options", [{}, {"layer": "body.1"}])
def test_a_forward_that_forgets_to_return_is_told(target: Any, options: Any) -> None:
    with pytest.raises(TypeError, match=r"^The model's forward returns nothing: let it return its scores\.$"):
        ll.explain(Answering(lambda A: None), X, target, **options)


def test_the_region_of_a_single_class_is_where_its_logit_is_positive() -> None:
    network = Answering(lambda A: A[:, :1])
    where = network.eval()(X)[0, 0] > 0
    heats = [ll.explain(network, X, ll.RegionScore(0, mask), layer="body.1")[0] for mask in (None, where)]
    assert 0 < where.float().mean() < 1
    torch.testing.assert_close(heats[0].values, heats[1].values)
    assert "mean score" in heats[0].words and " 100 %" not in heats[0].words
    with pytest.raises(ValueError, match="nowhere in this picture: at no pixel is its logit positive"):
        ll.explain(Answering(lambda A: -A[:, :1].abs()), X, ll.RegionScore(0))
