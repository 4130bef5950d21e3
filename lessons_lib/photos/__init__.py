"""Photographs with known outlines, any picture a person has, and collages whose truth is exact."""

from lessons_lib.core.records import Outlined, Photo
from lessons_lib.photos.files import open, uploaded
from lessons_lib.photos.grid import grid
from lessons_lib.photos.shipped import astronaut, cat, coffee, coverage, motorcycle, rocket
from lessons_lib.photos.shortcuts import shortcut_scene

__all__ = [
    "Outlined",
    "Photo",
    "astronaut",
    "cat",
    "coffee",
    "coverage",
    "grid",
    "motorcycle",
    "open",
    "rocket",
    "shortcut_scene",
    "uploaded",
]
