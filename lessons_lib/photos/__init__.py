"""Photographs with known outlines, any picture a person has, and collages whose truth is exact."""

from lessons_lib.core.records import Outlined, Photo
from lessons_lib.photos.files import open, uploaded
from lessons_lib.photos.shipped import astronaut, cat, coffee, coverage, motorcycle, rocket

__all__ = ["Outlined", "Photo", "astronaut", "cat", "coffee", "coverage", "motorcycle", "open", "rocket", "uploaded"]
