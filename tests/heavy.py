"""Which of a test's cases are too heavy for `make test`."""

from collections.abc import Iterable
from typing import Any

import pytest


def but_proofs(cases: Iterable[Any], *heavy: Any) -> list[Any]:
    """Return a test's cases, of which the heavy ones run in `make proofs` only.

    Raises:
        ValueError: one of the heavy ones is no case: it would silently run, or not run, wherever it was meant to.

    Example:
        >>> @pytest.mark.parametrize("name", but_proofs(["resnet18", "vgg16"], "vgg16"))
    """
    cases = list(cases)
    if unknown := [one for one in heavy if one not in cases]:
        raise ValueError(f"{unknown} are no cases of this test.")
    return [
        pytest.param(*(one if isinstance(one, tuple) else (one,)), marks=pytest.mark.proof) if one in heavy else one
        for one in cases
    ]
