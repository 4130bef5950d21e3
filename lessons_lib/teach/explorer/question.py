"""One question of the explorer: from this record come its heatmap, its figure, its words and its code."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from lessons_lib import show
from lessons_lib.core import methods
from lessons_lib.core.boxes import boxes
from lessons_lib.core.explain import explain
from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.methods import Method
from lessons_lib.core.records import Box, Explainable, Photo
from lessons_lib.core.targets import BoxScore, PixelScore, Target


@dataclass(frozen=True)
class Named:
    """Something, and the expression that gives it again when it is typed into a cell.

    Example:
        >>> Named("ll.photos.cat()", photos.cat()).thing
        cat · 451 × 300 pixels · known outline: cat
    """

    code: str
    thing: Any


@dataclass(frozen=True)
class Question:
    """What is asked of which network about which photo, and how the answer is drawn.

    Args:
        photo: a `Photo`, with the expression that gives it.
        network: an `Explainable`, with the expression that gives it.
        target: a class by its name or index, or a `BoxScore` or `PixelScore`.
        layer: its dotted name; `None` leaves the choice to `explain`.
        method: one of `methods`.
        opacity: of the heat at its peak, 0 to 1.
        signed: draw the raw values with their sign, and no photo.
        luck: draw the line inside which the map is hotter than evenly spread heat.

    Example:
        >>> question = Question(Named("ll.photos.cat()", photos.cat()), Named("m", models.imagenet()), "tiger cat")
        >>> question.heat()
        Heatmap(tiger cat, probability 0.39, score 9.24 · gradcam at bn2 · 7 × 7)
        >>> print(code([question]))
        import lessons_lib as ll
        <BLANKLINE>
        model = m
        photo = ll.photos.cat()
        heat = ll.explain(model, photo, "tiger cat", method=ll.gradcam)
        heat.show(opacity=0.7)
    """

    photo: Named
    network: Named
    target: int | str | Target
    layer: str | None = None
    method: str = "gradcam"
    opacity: float = 0.7
    signed: bool = False
    luck: bool = False

    def asked(self) -> dict[str, Named]:
        """Return what `explain` is given besides network, photo and target: each argument, and how it is written."""
        method: Method = getattr(methods, self.method)
        layer = {} if self.layer is None else {"layer": Named(written(self.layer), self.layer)}
        return {**layer, "method": Named(f"ll.{self.method}", method)}

    def same_map(self, other: "Question") -> bool:
        """Say whether another question differs in how its map is drawn and in nothing else."""
        drawing = {"opacity": other.opacity, "signed": other.signed, "luck": other.luck}
        return replace(self, **drawing) == other  # type: ignore[arg-type]

    def heat(self) -> Heatmap:
        """Return the heatmap that `explain` gives."""
        arguments = {name: one.thing for name, one in self.asked().items()}
        heat: Heatmap = explain(self.network.thing, self.photo.thing, self.target, **arguments)
        return heat

    def call(self, model: str = "model", photo: str = "photo") -> str:
        """Return the call of `explain` as it is typed."""
        arguments = [model, photo, written(self.target), *(f"{name}={one.code}" for name, one in self.asked().items())]
        return f"ll.explain({', '.join(arguments)})"

    def marked(self) -> Named | None:
        """Return the box that marks what is asked about on the photo; of a class, none."""
        if isinstance(self.target, BoxScore):
            number = self.target.box
            found = boxes(self.network.thing, self.photo.thing)[number : number + 1]
            return Named(f"ll.boxes(model, photo)[{number}:{number + 1}]", found)
        if isinstance(self.target, PixelScore):
            edges = around(self.target, self.network.thing, self.photo.thing)
            four = ", ".join(f"{edge:g}" for edge in edges)
            return Named(f'[ll.Box("pixel", 1.0, ({four}))]', [Box("pixel", 1.0, edges)])
        return None


def written(value: Any) -> str:
    """Return a value as it is typed: a target without what it takes by default, text in double quotes.

    Example:
        >>> print(written(PixelScore(3, 4)), written(["tiger cat"]), written(282))
        ll.PixelScore(3, 4) ["tiger cat"] 282
    """
    if isinstance(value, Target) and is_dataclass(value):
        given = [getattr(value, one.name) for one in fields(value) if one.repr]
        while given and given[-1] is None:
            given.pop()
        return f"ll.{type(value).__name__}({', '.join(map(written, given))})"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | list) else repr(value)


def around(target: PixelScore, model: Explainable, photo: Photo) -> tuple[float, float, float, float]:
    """Return a small square around a pixel of the network's input, in the photo's pixels."""
    assert model.transform is not None
    height, width = model.transform(photo.image).shape[1:]
    left, top, right, bottom = model.transform.region(*photo.image.size)
    column, row = (right - left) / width, (bottom - top) / height
    reach = 3  # the pixel alone would not be seen
    x, y = left + (target.column + 0.5) * column, top + (target.row + 0.5) * row
    edges = x - reach * column, y - reach * row, x + reach * column, y + reach * row
    return tuple(round(edge, 1) for edge in edges)  # type: ignore[return-value]


def drawn(questions: Sequence[Question], heats: Sequence[Heatmap]) -> show.Figure:
    """Return the figure of one question, or of two side by side; how it is drawn is said by the last of them."""
    name, arguments = _drawing(questions, heats)
    values = {key: one.thing for key, one in arguments.items()}
    if name == "show":
        return heats[0].show(**values)
    figure: show.Figure = getattr(show, name)(list(heats), **values)
    return figure


def code(questions: Sequence[Question], heats: Sequence[Heatmap] = ()) -> str:
    """Return Python that draws the same figure when it is pasted into a cell.

    Args:
        questions: one, or two that are compared.
        heats: the maps of two.
    """
    last = questions[-1]
    lines, calls = ["import lessons_lib as ll", ""], []
    known = {last.network.code: "model", last.photo.code: "photo"}
    for question in questions:
        for what, one in (("model", question.network), ("photo", question.photo)):
            known.setdefault(one.code, f"other_{what}")
        calls.append(question.call(known[question.network.code], known[question.photo.code]))
    lines += [f"{name} = {expression}" for expression, name in known.items() if name != expression]
    name, arguments = _drawing(questions, heats)
    options = "".join(f", {key}={one.code}" for key, one in arguments.items())
    if name == "show":
        lines += [f"heat = {calls[0]}", f"heat.show({options.removeprefix(', ')})"]
    else:
        lines += ["heats = [", *(f"    {call}," for call in calls), "]", f"ll.show.{name}(heats{options})"]
    return "\n".join(lines)


def units_agree(questions: Sequence[Question]) -> bool:
    """Say whether two maps are in the same units, so that one scale of heat can hold both."""
    first, last = questions[0], questions[-1]
    return (first.network.thing, first.method, first.layer) == (last.network.thing, last.method, last.layer)


def titles(questions: Sequence[Question], heats: Sequence[Heatmap]) -> list[str]:
    """Return a title for each map: the explained number, and what else sets the two apart."""
    apart: list[list[str]] = [[heat.words] for heat in heats]
    for values in (
        [heat.method for heat in heats],
        [f"at {heat.layer}" for heat in heats],
        [question.photo.thing.title or "picture" for question in questions],
    ):
        if len(set(values)) > 1:
            for title, value in zip(apart, values, strict=True):
                title.append(value)
    return ["\n".join(title) for title in apart]


def _drawing(questions: Sequence[Question], heats: Sequence[Heatmap]) -> tuple[str, dict[str, Named]]:
    """Return which function draws the figure, and with which arguments."""
    last, options = questions[-1], dict[str, Any]()
    if len(questions) > 1:
        options["titles"] = titles(questions, heats)
    if len(questions) > 1 and not last.signed:
        options["shared"] = units_agree(questions)
    if not last.signed:
        options |= {"opacity": last.opacity} | ({"luck": True} if last.luck else {})
    named = {key: Named(written(value), value) for key, value in options.items()}
    if last.signed:
        return "signed", named
    if (marked := last.marked()) and all(one.photo.code == last.photo.code for one in questions):
        named["boxes"] = marked
    return ("row" if len(questions) > 1 else "show"), named
