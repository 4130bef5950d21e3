"""What a misspelt name may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def near(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return "near it: …" with up to three of the known names that are like `name`; else `otherwise`, or all of them.

    Example:
        >>> near("resnet5O", ["resnet50", "vit_b_16"])
        'near it: resnet50'
    """
    known = list(known)
    found = get_close_matches(name, known, n=3, cutoff=0.4)
    return f"near it: {', '.join(found)}" if found else otherwise or f"there are {', '.join(known)}"
