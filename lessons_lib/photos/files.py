"""Opening any picture a person has."""

import re
from io import SEEK_END, TextIOBase
from os import PathLike, fsdecode, strerror
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from lessons_lib.core.accepted.images import told_as_damaged, upright_rgb
from lessons_lib.core.engine.names import near
from lessons_lib.core.engine.outputs import said
from lessons_lib.core.records import Photo

_ADDRESS = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)

_HOME = ", and `os.path.expanduser` writes out a ~"


def open(file: str | PathLike[str] | IO[bytes]) -> Photo:
    """Open any picture a person has, as upright RGB.

    Turned as its EXIF orientation says; transparent parts over white; more than 8 bits a pixel scaled from the
    picture's own darkest to its brightest value; of an animation, the first frame. The title is the file's name
    without its ending.

    Args:
        file: a path, or a file opened for reading bytes.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: this is neither a path nor a file.
        ValueError: it is a folder, no picture, empty, damaged, too large, or can't be read; the sentence says which.

    Example:
        >>> photos.open("holiday.jpg")
        holiday · 640 × 480 pixels
    """
    name = _name(file)
    try:
        with told_as_damaged(repr(name)):
            picture = Image.open(fsdecode(file) if isinstance(file, bytes) else file)
        with picture:
            return Photo(upright_rgb(picture, repr(name)), title=Path(name).stem)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no file {name!r} on this machine: check the spelling, or give the whole path "
            f"(a short one starts at {str(Path.cwd())!r}{_HOME if name.startswith('~') else ''})."
        ) from None
    except IsADirectoryError:
        raise ValueError(f"{name!r} is a folder: name one picture inside it.") from None
    except UnidentifiedImageError:
        if _empty(file):
            raise ValueError(f"{name!r} is empty, it has no bytes: copy or save it again.") from None
        raise ValueError(
            f"{name!r} is not a picture that Pillow can read: save it as PNG or JPEG and open that."
        ) from None
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{name!r} is too large to open safely ({error}): save a smaller copy and open that."
        ) from None
    except OSError as error:
        if not error.errno:
            raise
        raise ValueError(
            f"{name!r} can't be opened ({strerror(error.errno)}): see that the path leads to a file that you may read."
        ) from None


_uploaded: dict[str, Photo] = {}


def keep(name: str, photo: Photo) -> str:
    """Remember a photo that was uploaded into this session, and return the name under which `uploaded` gives it."""
    stem, ending = Path(name).stem, Path(name).suffix
    free, number = name, 1
    while not _same(_uploaded.setdefault(free, photo), photo):
        number += 1
        free = f"{stem} ({number}){ending}"
    return free


def _same(one: Photo, other: Photo) -> bool:
    return one.image.size == other.image.size and one.image.tobytes() == other.image.tobytes()


def uploaded(name: str) -> Photo:
    """Return a photo that was uploaded into the explorer in this session.

    Args:
        name: the file's name, as the explorer's code gives it.

    Raises:
        ValueError: in this session nothing of that name was uploaded.

    Example:
        >>> photos.uploaded("holiday.jpg")
        Traceback (most recent call last):
        ValueError: Nothing called 'holiday.jpg' was uploaded in this session; upload it again, or open the file with
        `ll.photos.open(path)`.
    """
    if name not in _uploaded:
        otherwise = "upload it again, or open the file with `ll.photos.open(path)`"
        raise ValueError(
            f"Nothing called {said(name)} was uploaded in this session; {near(str(name), _uploaded, otherwise)}."
        )
    return _uploaded[name]


def _name(file: Any) -> str:
    """Return what a file is called in a sentence.

    Raises:
        TypeError, ValueError: it can't be opened, whatever is on this machine.
    """
    if hasattr(file, "read"):
        name = str(getattr(file, "name", "picture"))
        if getattr(file, "closed", False):
            raise ValueError(f"{name!r} is a file that was closed: open it again, `open(path, 'rb')`.")
        if isinstance(file, TextIOBase):
            raise ValueError(f"{name!r} is open as text, and a picture is bytes: open it with `open(path, 'rb')`.")
        if not getattr(file, "readable", lambda: True)():
            raise ValueError(f"{name!r} is open for writing: close it, and open it with `open(path, 'rb')`.")
        return name
    if isinstance(file, bytearray | memoryview) or (isinstance(file, bytes) and (b"\0" in file or len(file) > 4096)):
        raise TypeError("These are the bytes of a file, and not its path: `ll.photos.open(io.BytesIO(content))`.")
    if not isinstance(file, str | bytes | PathLike):
        raise TypeError(f"A picture is opened from a path or a file, not from {said(file)}: {_way_out(file)}.")
    name = fsdecode(file)
    if name.lower().startswith("file:"):
        raise ValueError(f"{name!r} is an address: give the path alone, {name[5:].removeprefix('//')!r}.")
    if _ADDRESS.match(name):
        raise ValueError(f"{name[:80]!r} is an address: download the picture and open the file.")
    if "\0" in name:
        raise ValueError(
            f"{name!r} is no path, since a zero byte is in it: write a backslash twice, or put r before the quote."
        )
    return name


def _way_out(given: Any) -> str:
    if isinstance(given, np.ndarray):
        return "make the array one, `ll.Photo(PIL.Image.fromarray(array))`"
    if isinstance(given, Photo):
        return "it is open already"
    if isinstance(given, Image.Image):
        return "make it a photo, `ll.Photo(image)`"
    if isinstance(given, Tensor):
        return "`ll.explain` takes tensors as they are"
    if isinstance(given, list | tuple):
        return "open them one by one, `[ll.photos.open(file) for file in files]`"
    return "give its name, `ll.photos.open('cat.jpg')`"


def _empty(file: Any) -> bool:
    if hasattr(file, "seek"):
        return file.seek(0, SEEK_END) == 0
    return Path(fsdecode(file)).stat().st_size == 0
