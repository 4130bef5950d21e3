"""Where the files that ship with the course lie, and what to say when a package of the lessons is not there."""

from importlib.util import find_spec
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


def needs(what: str, *modules: str) -> None:
    """Say how to get the packages that only the lessons need, if `what` can't do without and they are not installed.

    Raises:
        ModuleNotFoundError: at least one of `modules` is not installed.

    Example:
        >>> needs("photos.cat()", "skimage")
    """
    if missing := [module for module in modules if find_spec(module) is None]:
        raise ModuleNotFoundError(
            f"{what} needs {' and '.join(missing)}, which only the lessons use: "
            'install all that they use with pip install "lessons-lib[lessons]"',
            name=missing[0],
        )
