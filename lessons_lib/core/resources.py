"""Where the files that ship with the course lie: object outlines, trained weights, measured tables."""

from importlib.resources import files
from pathlib import Path


def data(*parts: str) -> Path:
    """Return the path of a file under `data/`: inside an installed package, beside the package in a checkout.

    Example:
        >>> data("outlines", "cat.json").name
        'cat.json'
    """
    package = Path(str(files("lessons_lib")))
    inside = package / "data"
    return (inside if inside.is_dir() else package.parent / "data").joinpath(*parts)
