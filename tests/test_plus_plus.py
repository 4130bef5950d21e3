"""Grad-CAM++: the closed form of α against autograd's derivatives of exp(score), and against two published mistakes."""

import pytest
import torch
from tiny import Ended
from torch import Tensor, nn

from lessons_lib.core import methods
from lessons_lib.core.engine import capture


def ending(kind: str) -> nn.Module:
    torch.manual_seed(4)
    flat = nn.Flatten()
    if kind == "linear":
        last = nn.Linear(24, 2)
        last.weight.data[:, ::5] = 0  # cells that the score does not depend on
        return nn.Sequential(flat, last)
    return {
        "pooled": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), flat, nn.Linear(2, 2)),
        "relu": lambda: nn.Sequential(flat, nn.Linear(24, 3), nn.ReLU(), nn.Linear(3, 2)),
        "largest": lambda: nn.Sequential(nn.MaxPool2d(2), flat, nn.Linear(4, 2)),
        "smooth": lambda: nn.Sequential(flat, nn.Linear(24, 3), nn.GELU(), nn.Linear(3, 2)),
    }[kind]()


def seen_by(kind: str) -> capture.Captured:
    maps = torch.rand(1, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    maps[0, 0, 0] = 0  # as behind a ReLU
    seen = capture.run(Ended(ending(kind)).double(), maps, "features")
    seen = seen.scored(seen.output[:, 0])
    return seen


def derivatives(kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """∂Y/∂A_ij, ∂²Y/∂A_ij² and ∂³Y/∂A_ij³ of Y = exp(S), cell by cell, each 1×C×H×W."""
    seen = seen_by(kind)
    found = torch.zeros(3, seen.activations.numel(), dtype=torch.float64)
    for cell in range(found.shape[1]):
        step = torch.zeros((), dtype=torch.float64, requires_grad=True)
        maps = seen.activations.flatten().index_add(0, torch.tensor([cell]), step[None]).view_as(seen.activations)
        y = seen.network(maps)[0, 0].exp()
        for order in range(3):
            (y,) = torch.autograd.grad(y, step, create_graph=True)
            found[order, cell] = y.detach()
    first, second, third = found.view(3, *seen.activations.shape)
    return first, second, third


def eq_10(kind: str) -> Tensor:
    """α with autograd's derivatives in it, and nan where it is 0/0."""
    _, second, third = derivatives(kind)
    return second / (2 * second + seen_by(kind).activations.sum((2, 3), keepdim=True) * third)


PIECEWISE_LINEAR = ["linear", "pooled", "relu", "largest"]


@pytest.mark.parametrize("kind", PIECEWISE_LINEAR)
def test_alpha_is_autograds_second_and_third_derivatives_of_exp_score(kind: str) -> None:
    seen = seen_by(kind)
    found, expected = methods.plus_plus_alpha(seen.activations, seen.gradients), eq_10(kind)
    somewhere = seen.gradients != 0
    assert somewhere.any()
    torch.testing.assert_close(found[somewhere], expected[somewhere], rtol=1e-9, atol=0)


@pytest.mark.parametrize("kind", ["linear", "largest"])
def test_where_the_gradient_is_zero_eq_10_is_nothing_by_nothing_and_the_map_does_not_notice(kind: str) -> None:
    seen = seen_by(kind)
    nowhere = seen.gradients == 0
    assert nowhere.any() and not nowhere.all()
    first, second, third = derivatives(kind)
    assert not first[nowhere].any() and not second[nowhere].any() and not third[nowhere].any()
    alpha = methods.plus_plus_alpha(seen.activations, seen.gradients)
    assert (alpha[nowhere] == 0.5).all()
    found = methods.gradcam_plus_plus(seen)
    for stand_in in (0.0, 1.0, 7.0):
        weights = (alpha.masked_fill(nowhere, stand_in) * seen.gradients.relu()).sum((2, 3), keepdim=True)
        torch.testing.assert_close(found, (weights * seen.activations).sum(1), rtol=1e-12, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", PIECEWISE_LINEAR)
def test_the_map_is_the_papers_divided_by_exp_score(kind: str) -> None:
    seen = seen_by(kind)
    first, _, _ = derivatives(kind)
    weights = (eq_10(kind).nan_to_num() * first.relu()).sum((2, 3), keepdim=True)
    papers = (weights * seen.activations).sum(1)
    assert papers.abs().max() > 0.01
    torch.testing.assert_close(methods.gradcam_plus_plus(seen) * seen.scores.exp(), papers, rtol=1e-9, atol=0)


def test_behind_a_smooth_nonlinearity_the_closed_form_is_an_approximation() -> None:
    seen = seen_by("smooth")
    ratio = methods.plus_plus_alpha(seen.activations, seen.gradients) / eq_10("smooth")
    assert (ratio - 1).abs().max() > 0.05


def test_alpha_and_map_by_hand() -> None:
    # g = (1, 0, −1 | ½, 2, 0) and ΣA = 4 and 2, so α = 1 / (2 + g ΣA).
    maps = torch.tensor([[[[1.0, 3.0, 0.0]], [[0.0, 1.0, 1.0]]]])
    last = nn.Linear(6, 1)
    last.weight.data = torch.tensor([[1.0, 0.0, -1.0, 0.5, 2.0, 0.0]])
    seen = capture.run(Ended(nn.Sequential(nn.Flatten(), last)), maps, "features")
    seen = seen.scored(seen.output[:, 0])
    alpha = methods.plus_plus_alpha(seen.activations, seen.gradients)
    torch.testing.assert_close(alpha, torch.tensor([[[[1 / 6, 1 / 2, -1 / 2]], [[1 / 3, 1 / 6, 1 / 2]]]]))
    first, second = 1 / 6, 1 / 3 * 0.5 + 1 / 6 * 2
    torch.testing.assert_close(
        methods.gradcam_plus_plus(seen), torch.tensor([[[first, 3 * first + second, second]]]), rtol=1e-6, atol=0
    )


def test_an_infinite_alpha_under_a_negative_gradient_adds_nothing() -> None:
    # ΣA = 2 and g = −1 in the second cell make the denominator 2 − 2 = 0.
    maps = torch.tensor([[[[1.0, 1.0]]]])
    last = nn.Linear(2, 1)
    last.weight.data = torch.tensor([[1.0, -1.0]])
    seen = capture.run(Ended(nn.Sequential(nn.Flatten(), last)), maps, "features")
    seen = seen.scored(seen.output[:, 0])
    torch.testing.assert_close(methods.gradcam_plus_plus(seen), torch.tensor([[[0.25, 0.25]]]))


def test_nothing_underflows_where_gradients_are_tiny() -> None:
    g = torch.full((1, 1, 1, 2), 1e-30)
    A = torch.ones(1, 1, 1, 2)
    assert (g**2 / (2 * g**2 + A.sum() * g**3)).isnan().all()  # eq. (19) as it is printed, in float32
    assert methods.plus_plus_alpha(A, g).tolist() == [[[[0.5, 0.5]]]]


def mixed_indices(A: Tensor, g: Tensor) -> Tensor:
    """A published mistake: g³ is summed together with A, where eq. (19) has Σ A and g³ of the one cell."""
    return g**2 / (2 * g**2 + (A * g**3).sum((2, 3), keepdim=True))


def divided_copy(A: Tensor, g: Tensor) -> Tensor:
    """Another: `alpha[mask].div_(…)` divides what indexing copied, and α stays g²."""
    alpha, mask = g**2, g != 0
    alpha[mask].div_((2 * g**2 + A.sum((2, 3), keepdim=True) * g**3)[mask])
    return alpha


@pytest.mark.parametrize("mistake", [mixed_indices, divided_copy])
@pytest.mark.parametrize("kind", ["linear", "relu", "largest"])
def test_the_published_mistakes_give_another_alpha(mistake, kind: str) -> None:
    seen = seen_by(kind)
    somewhere = seen.gradients > 0
    right = methods.plus_plus_alpha(seen.activations, seen.gradients)
    wrong = mistake(seen.activations, seen.gradients)
    assert ((wrong - right).abs() / right)[somewhere].max() > 0.05


def test_behind_global_average_pooling_mixed_indices_go_unnoticed() -> None:
    seen = seen_by("pooled")
    right = methods.plus_plus_alpha(seen.activations, seen.gradients)
    torch.testing.assert_close(mixed_indices(seen.activations, seen.gradients), right)
    wrong = divided_copy(seen.activations, seen.gradients)
    assert ((wrong - right).abs() / right).max() > 0.5
