"""Noisy linear imputation: pixels that are gone become the weighted mean of their neighbours, all at once."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from lessons_lib.core.resources import needs

_BESIDE, _ACROSS = 1 / 6, 1 / 12
_NEIGHBOURS = [
    (rows, columns, _ACROSS if rows and columns else _BESIDE)
    for rows in (-1, 0, 1)
    for columns in (-1, 0, 1)
    if rows or columns
]
"""Where a pixel's neighbours lie, and their weights; they sum to 1."""


def imputed(picture: Tensor, gone: Tensor, noise: float = 0.01, seed: int = 0) -> Tensor:
    """Return the picture with the pixels that are gone imputed from the others, for each of M masks: M×C×H×W.

    Formula: each pixel that is gone is the weighted mean of its eight neighbours, 1/6 beside it and 1/12 across the
    corner, those outside the picture left out; a sparse linear system in all that is gone, plus noise. Rong et al.
    (ROAD), arXiv 2202.00449, section 5.1. Where everything is gone, 0.

    Args:
        picture: C×H×W.
        gone: M×H×W bool, true where a pixel is gone.
        noise: the standard deviation of what is added, so that no smooth patch gives away where it was.
        seed: of the noise.

    Example:
        >>> gone = torch.zeros(1, 224, 224, dtype=torch.bool)
        >>> gone[:, 100:120, 100:120] = True
        >>> metrics.imputed(batch[0], gone).shape
        torch.Size([1, 3, 224, 224])
    """
    needs("metrics.imputed()", "scipy")
    if gone.ndim != 3 or gone.shape[1:] != picture.shape[1:] or gone.dtype != torch.bool:
        raise ValueError(
            f"What is gone is M × H × W of bool, of the picture's own {' × '.join(map(str, picture.shape[1:]))}, not "
            f"{' × '.join(map(str, gone.shape))}: `gone = scores[None] > 0.5` makes one."
        )
    random = torch.Generator().manual_seed(seed)
    found = picture[None].repeat(len(gone), 1, 1, 1).cpu()
    for one, mask in zip(found, gone.cpu(), strict=True):
        if mask.all():
            one.zero_()
        elif mask.any():
            values = torch.from_numpy(_solved(one.numpy(), mask.numpy())).to(one.dtype)
            one[:, mask] = values + noise * torch.randn(values.shape, generator=random, dtype=one.dtype)
    return found.to(picture.device)


def _solved(picture: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Return the imputed values, C×K, of the K pixels that are gone, row by row."""
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    count = int(gone.sum())
    number = np.full(gone.shape, -1)
    number[gone] = np.arange(count)
    diagonal, known = np.zeros(count), np.zeros((count, len(picture)))
    entries, at, of = [], [], []
    for own, rows, columns, weight in _pairs(gone):
        beside = number[rows, columns]
        np.add.at(diagonal, own, weight)
        inside = beside >= 0
        entries.append(np.full(int(inside.sum()), -weight))
        at.append(own[inside])
        of.append(beside[inside])
        known[own[~inside]] += weight * picture[:, rows[~inside], columns[~inside]].T
    entries.append(diagonal)
    at.append(np.arange(count))
    of.append(np.arange(count))
    system = csc_matrix((np.concatenate(entries), (np.concatenate(at), np.concatenate(of))), shape=(count, count))
    return splu(system, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(known).T


def _pairs(gone: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Yield, for each direction, the numbers of pixels with a neighbour there, where it is, and its weight."""
    height, width = gone.shape
    row, column = np.nonzero(gone)
    for down, right, weight in _NEIGHBOURS:
        rows, columns = row + down, column + right
        there = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        yield np.flatnonzero(there), rows[there], columns[there], weight
