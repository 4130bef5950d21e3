"""Figures that change when a slider or a menu is moved."""

import base64
import html
from collections.abc import Callable
from contextlib import suppress
from inspect import signature
from typing import Any

from lessons_lib.show.figure import Figure
from lessons_lib.show.given import kind


class Varied:
    """A figure with controls over it; where no widgets run, on GitHub or in print, the figure alone.

    Attributes:
        figure: what was drawn last.
        widget: the controls and the figure.
    """

    def __init__(self, draw: Callable[..., Figure], controls: dict[str, Any]):
        try:
            from ipywidgets import HTML, VBox, interactive
            from traitlets import TraitError
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "show.vary() needs ipywidgets, which only the lessons use: pip install ipywidgets", name=error.name
            ) from None

        if not callable(draw):
            raise TypeError(
                f"A figure is drawn by a function, not by {kind(draw)}: "
                "`ll.show.vary(lambda opacity: heat.show(opacity=opacity), opacity=(0.0, 1.0))`."
            )
        with suppress(ValueError):  # of functions written in C, which do not say what they take
            try:
                signature(draw).bind(**controls)
            except TypeError as error:
                asked = ", ".join(signature(draw).parameters) or "none"
                raise TypeError(
                    f"The controls are not draw's arguments ({error}): give one for each, {asked}."
                ) from None
        self._draw = draw
        self._controls = {}
        for name, wanted in controls.items():
            empty = isinstance(wanted, list | dict) and not wanted
            try:
                control = None if empty else interactive.widget_from_abbrev(wanted)
            except (ValueError, TypeError, TraitError):
                control = None  # the highest is below the lowest, say
            if control is None:
                raise ValueError(
                    f"{wanted!r} makes no control for {name!r}: "
                    "give (lowest, highest, step) for a slider, or a list for a menu."
                )
            self._controls[name] = control
            control.description = control.description or name
            control.continuous_update = False  # a figure is drawn when the slider is let go, not for all it passes
            control.observe(self._redraw, names="value")
        self._view = HTML()
        self.widget = VBox([*self._controls.values(), self._view])
        self._redraw()

    def _redraw(self, _change: Any = None) -> None:
        try:
            drawn = self._draw(**{name: control.value for name, control in self._controls.items()})
            if not isinstance(drawn, Figure):
                way_out = "return `heat.show()`" if hasattr(drawn, "photo") else "return what `ll.show` draws"
                raise TypeError(f"draw returned {kind(drawn)}, and a Figure is asked for: {way_out}.")
            self.figure = drawn
        except Exception as error:
            # When a control was moved, Jupyter puts what is raised into a log that nobody has open.
            self._view.value = f"<pre>{html.escape(f'{type(error).__name__}: {error}')}</pre>"
            raise
        mime, file = self.figure.stored()
        source = f"data:{mime};base64,{base64.b64encode(file).decode()}"
        words = html.escape(self.figure.words)
        self._view.value = f'<img alt="{words}" width="{self.figure.width}" src="{source}">'

    def __repr__(self) -> str:
        return self.figure.words

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = self.figure._repr_mimebundle_()
        return {**self.widget._repr_mimebundle_(), **data}, metadata


def vary(draw: Callable[..., Figure], **controls: Any) -> Varied:
    """Draw a figure anew whenever one of its controls is moved.

    Args:
        draw: a function of the controls' values that returns a `Figure`.
        controls: one for each argument of `draw`, in ipywidgets' shorthand: `(0.0, 1.0, 0.1)` is a slider, a list a
            menu; or a widget, which also fixes the first value.

    Raises:
        ValueError: a control is none of these.
        TypeError: draw is no function of them, or returns no figure.

    Example:
        >>> varied = show.vary(lambda opacity: heat.show(opacity=opacity), opacity=(0.0, 1.0, 0.1))
    """
    return Varied(draw, controls)
