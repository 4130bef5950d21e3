"""What is asked about: a class that is typed or stands on top, a box by its name, a pixel by its row and column."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from lessons_lib.core.records import Explainable
from lessons_lib.core.targets import BoxScore, PixelScore, Target
from lessons_lib.teach.explorer import choices, pages
from lessons_lib.teach.explorer.panel import Panel


class Asking:
    """The controls that choose the target.

    Args:
        panel: holds them.
        ask: is called when another target was chosen.
        say: takes a sentence where none could be.

    Attributes:
        target: what is asked about.
    """

    target: int | str | Target

    def __init__(self, panel: Panel, ask: Callable[[], None], say: Callable[[str], None]):
        self._panel, self._ask, self._say, self._filling = panel, ask, say, 0
        self._offer: choices.Offer | None = None
        self._model: Explainable | None = None
        self._names: list[str] = []
        panel.typed.observe(lambda _: self.when_chosen(self._typed), names="value")
        for each in (panel.row, panel.column):
            each.observe(lambda _: self.when_chosen(self._at_pixel), names="value")

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Set controls without being asked by them; what a person changes meanwhile, in another thread, is heard."""
        before, self._filling = self._filling, get_ident()
        try:
            yield
        finally:
            self._filling = before

    def when_chosen(self, act: Callable[[], None]) -> None:
        """Do something because a control was changed, if a person changed it."""
        if self._filling != get_ident():
            act()

    def fill(self, model: Explainable, offer: choices.Offer, places: list[tuple[str, str | None]]) -> None:
        """Offer what a network and a photo have to ask about, and ask about the first."""
        panel, self._model, self._offer, self.target = self._panel, model, offer, offer.first
        with self.filled():
            panel.layer.options = places
            panel.layer.value = model.layer
            if offer.kind == "classes":
                self._names = choices.names(model, offer.count)
                panel.typed.options = self._names
                panel.typed.value = self._names[offer.top[0][0]]
                texts = [f"{self._names[index]} {value}" for index, value in offer.top]
                panel.buttons(panel.top, "On top:", texts, lambda number: self._class(offer.top[number][0]))
            elif offer.kind == "boxes":
                texts = [f"{box.name} {box.score:.2f}" for box in offer.boxes]
                panel.buttons(panel.boxes, "Box:", texts, self._box)
            else:
                panel.row.max, panel.column.max = offer.size
                panel.row.value, panel.column.value = offer.size[0] // 2 + 1, offer.size[1] // 2 + 1
            self._mark(0)
            panel.show_kind(offer.kind)

    def _class(self, index: int) -> None:
        assert self._model is not None and self._offer is not None
        self.target = choices.asked_as(index, self._model)
        with self.filled():
            self._panel.typed.value = self._names[index]
            self._mark(next((place for place, (top, _) in enumerate(self._offer.top) if top == index), -1))
        self._ask()

    def _typed(self) -> None:
        if typed := self._panel.typed.value.strip():
            try:
                self._class(choices.found(typed, self._names))
            except ValueError as error:
                self._say(f"{error} {pages.STAYS}")

    def _box(self, number: int) -> None:
        self.target = BoxScore(number)
        self._mark(number)
        self._ask()

    def _at_pixel(self) -> None:
        self.target = PixelScore(self._panel.row.value - 1, self._panel.column.value - 1)
        self._ask()

    def _mark(self, number: int) -> None:
        where: Any
        for where in (self._panel.top, self._panel.boxes):
            self._panel.mark(where, number)
