"""Where the course's files lie, and what is said when a package that only the lessons need is missing."""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path


def data(*parts: str) -> Path:
    """Return the path of a file under `data/`: inside an installed package, beside the package in a checkout.

    Raises:
        FileNotFoundError: there is no such folder.

    Example:
        >>> data("outlines", "cat.json").name
        'cat.json'
    """
    package = Path(str(files("lessons_lib")))
    inside = package / "data"
    folder = inside if inside.is_dir() else package.parent / "data"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder data beside lessons_lib in {str(package.parent)!r}: fetch the repository again, or "
            "install the package again."
        )
    return folder.joinpath(*parts)


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
