"""What a misspelt name may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def near(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return "near it: …" with up to three of the known names that are like `name`; else `otherwise`, or all of them.

    Upper and lower case are one. Names that hold the name itself as a word come first.

    Example:
        >>> near("resnet5O", ["resnet50", "vit_b_16"])
        'near it: resnet50'
    """
    known = list(known)
    plain = {one: " ".join(_words(one)) for one in known}
    meant = " ".join(_words(str(name)))
    holding = [one for one in known if meant and f" {meant} " in f" {plain[one]} "]
    alike = get_close_matches(meant, plain.values(), n=3, cutoff=0.4)
    found = list(dict.fromkeys([*holding, *(one for match in alike for one in known if plain[one] == match)]))[:3]
    return f"near it: {', '.join(found)}" if found else otherwise or f"there are {', '.join(known)}"


def _words(name: str) -> list[str]:
    return "".join(sign if sign.isalnum() else " " for sign in name.casefold()).split()
