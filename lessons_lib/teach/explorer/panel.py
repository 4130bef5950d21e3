"""The explorer's controls and texts, each with a label, and nothing that decides anything."""

from collections.abc import Sequence
from typing import Any

from lessons_lib.core.resources import needs
from lessons_lib.teach.explorer import choices, pages


class Panel:
    """The widgets, by name, and the box that holds them all.

    Example:
        >>> Panel().method.options[:2]
        ('cam', 'gradcam')
    """

    def __init__(self) -> None:
        needs("ll.explorer()", "ipywidgets")
        import ipywidgets as w

        self._w = w
        wide = w.Layout(width="30em", max_width="100%")
        short = w.Layout(width="11em")
        named = {"style": {"description_width": "6em"}}
        self.photo = w.Dropdown(description="Photo", layout=wide, **named)
        self.upload = w.FileUpload(description="Upload a photo", accept="image/*", layout=w.Layout(width="14em"))
        self.network = w.Dropdown(description="Network", layout=wide, **named)
        self.typed = w.Combobox(
            description="Class",
            placeholder="type a part of its name, then Enter",
            continuous_update=False,
            layout=wide,
            **named,
        )
        self.top = w.HBox()
        self.boxes = w.HBox()
        self.row = w.BoundedIntText(description="Row", min=1, layout=short, continuous_update=False, **named)
        self.column = w.BoundedIntText(description="Column", min=1, layout=short, continuous_update=False, **named)
        self.pixel = w.HBox([self.row, self.column])
        self.layer = w.Dropdown(description="Layer", layout=wide, **named)
        self.method = w.Dropdown(
            options=choices.METHODS, value="gradcam", description="Method", layout=w.Layout(width="20em"), **named
        )
        self.opacity = w.BoundedFloatText(
            value=0.7, min=0, max=1, step=0.1, description="Opacity", layout=short, continuous_update=False, **named
        )
        self.signed = w.Checkbox(description="Signed: for and against", indent=False, layout=w.Layout(width="auto"))
        self.luck = w.Checkbox(description="Line of evenly spread heat", indent=False, layout=w.Layout(width="auto"))
        self.pin, self.unpin, self.cancel, self.png, self.npy = (
            w.Button(description=text, tooltip=tip, disabled=off, layout=w.Layout(width="auto"))
            for text, tip, off in (
                ("Pin on the left", "keep this map on the left, and compare the next ones with it", False),
                ("Unpin", "show one map again", True),
                ("Cancel", "call off what is being computed", True),
                ("Save figure as PNG", "at 300 dots an inch, beside this notebook", False),
                ("Save values as .npy", "the raw, signed values, beside this notebook", False),
            )
        )
        self.status, self.progress, self.picture, self.words, self.code = (w.HTML() for _ in range(5))
        self.whole = w.VBox(
            [
                w.HTML(pages.OPENING),
                w.HBox([self.photo, self.upload]),
                self.network,
                self.typed,
                self.top,
                self.boxes,
                self.pixel,
                w.HBox([self.layer, self.method]),
                w.HBox([self.opacity, self.signed, self.luck]),
                w.HBox([self.pin, self.unpin, self.cancel, self.png, self.npy]),
                self.status,
                self.progress,
                self.picture,
                self.words,
                self.code,
            ]
        )
        self.whole.add_class("ll-explorer")
        for each in self.whole.children:
            if isinstance(each, w.HBox):
                each.layout.flex_flow = "row wrap"

    def choosers(self) -> list[Any]:
        """Return the controls whose value is part of the question as it stands, whatever the network is."""
        return [self.layer, self.method, self.opacity, self.signed, self.luck]

    def show_kind(self, kind: str) -> None:
        """Show the controls for one kind of question, and hide those of the others; "" hides them all."""
        for each, of in ((self.typed, "classes"), (self.top, "classes"), (self.boxes, "boxes"), (self.pixel, "pixels")):
            each.layout.display = None if kind == of else "none"

    def buttons(self, where: Any, label: str, texts: Sequence[str], pressed: Any) -> None:
        """Put a label and a row of buttons into a box; `pressed` is called with the number of the one that was."""
        before = where.children
        made = [self._w.Button(description=text, layout=self._w.Layout(width="auto")) for text in texts]
        for number, button in enumerate(made):
            button.on_click(lambda _, number=number: pressed(number))
        where.children = [self._w.HTML(f'<span class="ll-before">{label}</span>'), *made]
        for each in before:
            each.close()

    def mark(self, where: Any, number: int) -> None:
        """Mark the button that is in force, by a tick and not by colour alone."""
        for index, button in enumerate(where.children[1:]):
            button.icon = "check" if index == number else ""
            button.tooltip = "asked about now" if index == number else "ask about this"
