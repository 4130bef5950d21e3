"""What figures are drawn from: a photo, a map on it, a box. Whatever has these parts can be drawn."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from PIL import Image
from torch import Tensor


class BoxLike(Protocol):
    """A box with a name: left, top, right and bottom in the photo's pixels."""

    @property
    def name(self) -> str: ...
    @property
    def edges(self) -> tuple[float, float, float, float]: ...


class PhotoLike(Protocol):
    """An image with what is known of it: objects, each with a `mask` of height×width bool, and itself in words."""

    @property
    def image(self) -> Image.Image: ...
    @property
    def objects(self) -> Sequence[Any]: ...
    def describe(self) -> str: ...
    def named(self) -> dict[str, list[np.ndarray]]: ...


class HeatmapLike(Protocol):
    """A map on a photo, in numbers and in words."""

    @property
    def values(self) -> Tensor: ...
    @property
    def positive(self) -> Tensor: ...
    @property
    def photo(self) -> PhotoLike: ...
    @property
    def region(self) -> tuple[float, float, float, float]: ...
    @property
    def words(self) -> str: ...
    def on_photo(self) -> np.ndarray: ...
    def describe(self) -> str: ...
