"""Do two printed texts say the same, but for how their last digits were rounded?

Another processor adds in another order, so a decimal or a percentage that lies on a rounding edge may come out one step
higher or lower. One step in the last printed digit is allowed, number by number, and nothing else is: a count, a row, a
name, an order, a yes or a no must be the same.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = re.compile(
    r"(?<![\w.])(?P<sign>[-+−]?)(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?P<point>\.(?P<decimals>\d*))?"
    r"(?:[eE](?P<power>[-+]?\d+))?(?!\w|\.\d)"
)
_TOKEN = re.compile(rf"(?P<spaces>\s*)(?P<core>{re.sub(r'[?]P<[a-z]+>', '?:', _NUMBER.pattern)}|\w+|\S|\Z)")
_PERCENTAGES = re.compile(r"\((?:\d+, )+\d+ ?%")  # as in (19, 18, 18 %)
_PERCENT = re.compile(r"[ \u00a0\u202f]?%")


@dataclass(frozen=True)
class _Token:
    """A number, a word or a sign of a text, and the white space before it.

    Args:
        line, start, end: where it stands, from 0.
        array: which outermost [...] it is part of, from 1; 0 for none.
        step: what one in the last printed digit is worth; None where that digit is exact.
    """

    spaces: str
    core: str
    line: int
    start: int
    end: int
    array: int
    step: Decimal | None


def difference(reference: str, new: str) -> str | None:
    """Return in words the first place where two texts differ beyond rounding, None where there is none.

    - A decimal (0.38, −1.5, 3.2e-07) or a percentage (63 %, and each number of "(19, 18, 18 %)") may differ by one in
      its last printed digit; its number of decimals may not, and its sign only where zero lies within that step.
    - An integer is a count, also as "5.", and exact; so is what is no number, "1.2.3" and "blocks.4".
    - Within [...] numpy drops zeros at the end, so "5." beside "0.25" means 5.00, and its step is 0.01.
    - Spaces may differ where they keep what follows in its column, and within [...] where a number changes its width.

    Example:
        >>> difference("63 % of the heat, row 3", "62 % of the heat, row 3")
        >>> difference("63 % of the heat, row 3", "62 % of the heat, row 4")
        "line 1: '3' became '4'"
    """
    pairs = list(zip(_tokens(reference), _tokens(new), strict=False))  # each ends with an empty token of its own
    for one, other in pairs:
        if one.core != other.core and not _one_step(one, other):
            return f"line {one.line + 1}: {one.core or 'the end'!r} became {other.core or 'the end'!r}"
    wider = {one.array for one, other in pairs if one.array and len(one.core) != len(other.core)}
    for one, other in pairs:
        if one.spaces != other.spaces and not (one.array in wider or _aligned(one, other)):
            return f"line {one.line + 1}: other spaces before {one.core or 'the end'!r}"
    return None


def _tokens(text: str) -> list[_Token]:
    listed = [range(*found.span()) for found in _PERCENTAGES.finditer(text)]
    arrays = list(_arrays(text))
    tokens = []
    for found in _TOKEN.finditer(text):
        start, end = found.span("core")
        line_start = text.rfind("\n", 0, start) + 1
        array = next((index for index, span in enumerate(arrays, start=1) if start in span), 0)
        within = text[arrays[array - 1].start : arrays[array - 1].stop] if array else ""
        percent = bool(_PERCENT.match(text, end)) or any(start in span for span in listed)
        tokens.append(
            _Token(
                spaces=found["spaces"],
                core=found["core"],
                line=text.count("\n", 0, start),
                start=start - line_start,
                end=end - line_start,
                array=array,
                step=_step(found["core"], within, percent),
            )
        )
    return tokens


def _arrays(text: str) -> Iterator[range]:
    """Yield where the outermost [...] lie."""
    depth = first = 0
    for place, sign in enumerate(text):
        if sign == "[":
            first = first if depth else place
            depth += 1
        elif sign == "]" and depth:
            depth -= 1
            if not depth:
                yield range(first, place + 1)


def _step(core: str, within: str, percent: bool) -> Decimal | None:
    number = _NUMBER.fullmatch(core)
    if number is None:
        return None
    decimals = len(number["decimals"] or "")
    if number["power"]:
        return Decimal(1).scaleb(int(number["power"]) - decimals)
    if number["point"]:
        decimals = max([decimals, *(len(other["decimals"] or "") for other in _NUMBER.finditer(within))])
    return Decimal(1).scaleb(-decimals) if decimals or percent else None


def _one_step(one: _Token, other: _Token) -> bool:
    """Tell whether two tokens are the same number, but for one in its last printed digit."""
    if one.step is None or other.step is None:
        return False
    numbers = [_NUMBER.fullmatch(token.core) for token in (one, other)]
    shapes = [(bool(number["point"]), bool(number["power"])) for number in numbers if number]
    decimals = {len(number["decimals"] or "") for number in numbers if number}
    signs = {number["sign"] for number in numbers if number}
    if shapes[0] != shapes[1] or (len(decimals) > 1 and not one.array) or signs >= {"-", "−"} or signs == {"", "+"}:
        return False
    return abs(_value(one) - _value(other)) <= min(one.step, other.step)


def _value(token: _Token) -> Decimal:
    return Decimal(token.core.replace(",", "").replace("−", "-"))


def _aligned(one: _Token, other: _Token) -> bool:
    """Tell whether the spaces before a token keep it in its column, at its left or its right edge."""
    if one.spaces.replace(" ", "") != other.spaces.replace(" ", ""):
        return False
    return one.start == other.start or one.end == other.end
