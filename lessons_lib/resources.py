"""Where the files that ship with the course lie: object outlines, trained weights and their cards."""

from pathlib import Path

_HERE = Path(__file__).parent
# A wheel carries `data/` inside the package; a checkout keeps it beside the package.
_DATA = next(folder for folder in (_HERE / "data", _HERE.parent / "data") if folder.is_dir())


def data(*parts: str) -> Path:
    """Return the path of a file under `data/`, in a checkout and in an installed package alike.

    Example:
        >>> data("outlines", "cat.json").name
        'cat.json'
    """
    return _DATA.joinpath(*parts)
