"""Opening any picture a person has."""

from os import PathLike, fspath
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from lessons_lib.core.inputs import upright_rgb
from lessons_lib.core.records import Photo


def open(file: str | PathLike[str] | IO[bytes]) -> Photo:
    """Open any picture a person has, as upright RGB.

    Turned as its EXIF orientation says; transparent parts over white; more than 8 bits a pixel scaled from the
    picture's own darkest to its brightest value; of an animation, the first frame. The title is the file's name
    without its ending.

    Args:
        file: a path, or a file opened for reading bytes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is a folder, no picture, damaged or too large; the sentence says which.

    Example:
        >>> photos.open("holiday.jpg")
        holiday · 640 × 480 pixels
    """
    name = str(getattr(file, "name", "picture")) if hasattr(file, "read") else fspath(file)
    try:
        with Image.open(file) as picture:
            return Photo(upright_rgb(picture), title=Path(name).stem)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no file {name!r} on this machine: check the spelling, or give the whole path "
            f"(a short one starts at {str(Path.cwd())!r})."
        ) from None
    except IsADirectoryError:
        raise ValueError(f"{name!r} is a folder: name one picture inside it.") from None
    except UnidentifiedImageError:
        raise ValueError(
            f"{name!r} is not a picture that Pillow can read: save it as PNG or JPEG and open that."
        ) from None
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{name!r} is too large to open safely ({error}): save a smaller copy and open that."
        ) from None
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError(f"{name!r} is damaged or cut short ({error}): copy or save it again.") from error
