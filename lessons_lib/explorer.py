"""The ipywidgets playground: pictures that change when a slider or a menu is moved."""

from collections.abc import Callable
from typing import Any

from lessons_lib.show import Picture


class Varied:
    """A picture with controls over it; where no widgets run, on GitHub or in print, the picture alone."""

    def __init__(self, draw: Callable[..., Picture], controls: dict[str, Any]):
        from ipywidgets import interactive

        self.widget = interactive(draw, **controls)
        self.widget.update()
        self.picture: Picture = self.widget.result

    def __repr__(self) -> str:
        return self.picture.words

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = self.picture._repr_mimebundle_()
        return {**self.widget._repr_mimebundle_(), **data}, metadata


def vary(draw: Callable[..., Picture], **controls: Any) -> Varied:
    """Draw a picture anew whenever one of its controls is moved.

    Args:
        draw: a function of the controls' values that returns a `Picture`.
        controls: one for each argument of `draw`, in ipywidgets' shorthand: `(0.0, 1.0, 0.1)` is a slider, a list a menu;
            or a widget, which also fixes the first value.

    Example:
        >>> vary(lambda opacity: heat.show(opacity=opacity), opacity=(0.0, 1.0, 0.1))
    """
    return Varied(draw, controls)
