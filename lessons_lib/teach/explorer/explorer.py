"""The explorer: controls that ask, a thread that answers, and a page that never shows what was not asked."""

import warnings
from collections.abc import Callable
from threading import RLock
from typing import Any

from lessons_lib.core.heatmap import Heatmap
from lessons_lib.core.records import Photo
from lessons_lib.photos import files
from lessons_lib.show import Figure
from lessons_lib.teach.explorer import choices, pages, uploads
from lessons_lib.teach.explorer.asking import Asking
from lessons_lib.teach.explorer.panel import Panel
from lessons_lib.teach.explorer.question import Named, Question, code, drawn
from lessons_lib.teach.explorer.work import Job, Worker

UPLOADED, OWN = "your photo: ", "your own"


class Explorer:
    """What `explorer` returns. In Jupyter it shows itself; where no kernel runs, its last figure and words.

    Attributes:
        question: what was asked last.
        heat: the map that answers it.
        figure: what is shown.
        widget: the controls and the picture.
    """

    question: Question
    heat: Heatmap
    figure: Figure

    def __init__(self, network: Named | None, photo: Named | None):
        self._panel, self._worker, self._lock = Panel(), Worker(), RLock()
        self._asking = Asking(self._panel, self._ask, self._say)
        self.widget = self._panel.whole
        self._networks = {OWN: network} if network else {}
        self._photos = {OWN: photo} if photo else {}
        self._acquainted = False
        self._pinned: tuple[Question, Heatmap] | None = None
        self._places: dict[Any, list[tuple[str, str | None]]] = {}
        panel = self._panel
        for menu, names in (
            (panel.photo, [*self._photos, *choices.PHOTOS]),
            (panel.network, [*self._networks, *choices.NETWORKS]),
        ):
            menu.options = names
            menu.value = names[0]
        for each in (panel.photo, panel.network):
            each.observe(lambda _: self._asking.when_chosen(self._meet), names="value")
        for each in panel.choosers():
            each.observe(lambda _: self._asking.when_chosen(self._ask), names="value")
        panel.upload.observe(lambda change: self._upload(change["new"]), names="value")
        panel.pin.on_click(lambda _: self._pin())
        panel.unpin.on_click(lambda _: self._unpin())
        panel.cancel.on_click(lambda _: self._cancel())
        panel.png.on_click(lambda _: self._keep(lambda: uploads.png(self.figure, self.heat)))
        panel.npy.on_click(lambda _: self._keep(lambda: uploads.npy(self.heat)))
        first = Job(self._met, self._tell)
        first.begin()  # here and now, so that a cell ends with a picture; what is wrong is raised

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until nothing is being computed; say whether that came true in time."""
        return self._worker.wait(seconds)

    def _photo(self) -> Named:
        name = self._panel.photo.value
        return self._photos[name] if name in self._photos else choices.photo(name)

    def _network(self) -> Named:
        name = self._panel.network.value
        return self._networks[name] if name in self._networks else choices.network(name)

    def _meet(self) -> None:
        """Begin anew with another photo or network."""
        self._acquainted = False
        self._begin(self._met)

    def _ask(self) -> None:
        """Ask again, about the same thing in another way."""
        self._begin(self._answer if self._acquainted else self._met)

    def _begin(self, work: Callable[[Job], None]) -> None:
        panel = self._panel
        with self._lock:
            slow = " This method runs the network again for each map of the layer." * (
                panel.method.value in choices.SLOW
            )
            self._say(f"Computing …{slow}")
            self._clear("Computing …")
            panel.cancel.disabled = False
            self._worker.ask(Job(lambda job: self._guarded(job, work), self._tell))

    def _guarded(self, job: Job, work: Callable[[Job], None]) -> None:
        try:
            work(job)
        except Exception as error:  # noqa: BLE001 - whatever fails is told where the picture would stand
            with self._lock:
                job.check()
                self._stop(next(iter(str(error).splitlines()), type(error).__name__))

    def _met(self, job: Job) -> None:
        """Look at a network and a photo that are new to one another, offer what can be asked, and ask the first."""
        photo, network = self._photo(), self._network()
        with self._lock:
            self._panel.show_kind("")
        found = choices.offer(network.thing, photo.thing)
        key = network.code, found.kind, found.size
        if key not in self._places:
            self._places[key] = choices.places(network.thing, photo.thing, found.kind)
        with self._lock:
            job.check()
            self._asking.fill(network.thing, found, self._places[key])
            self._acquainted = True
        self._answer(job)

    def _answer(self, job: Job) -> None:
        """Make the map, the figure, the words and the code of what the controls say, and show them together."""
        panel = self._panel
        question = Question(
            self._photo(),
            self._network(),
            self._asking.target,
            panel.layer.value,
            panel.method.value,
            round(panel.opacity.value, 2),
            panel.signed.value,
            panel.luck.value,
        )
        pinned = self._pinned
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            before = self.question if hasattr(self, "question") else None
            heat = self.heat if before and before.same_map(question) else question.heat()
        job.check()
        questions, heats = [question], [heat]
        if pinned:
            questions, heats = [pinned[0], question], [pinned[1], heat]
        figure = drawn(questions, heats)
        shown, source = pages.picture(figure, len(heats)), code(questions, heats)
        with self._lock:
            job.check()
            self.question, self.heat, self.figure = question, heat, figure
            self._stop(" ".join(str(one.message) for one in told if issubclass(one.category, UserWarning)))
            panel.picture.value, panel.code.value = shown, pages.code(source)
            panel.words.value = pages.live(figure.words, "ll-words")
            panel.opacity.disabled = panel.luck.disabled = question.signed
            for button in (panel.png, panel.npy, panel.pin):
                button.disabled = False

    def _upload(self, given: Any) -> None:
        for one in given:
            try:
                photo: Photo = uploads.photo(one["name"], bytes(one["content"]))
            except (ValueError, TypeError, OSError, MemoryError) as error:
                self._say(f"{error} {pages.STAYS}")
            else:
                name = files.keep(one["name"], photo)
                with self._asking.filled():
                    self._photos[UPLOADED + name] = Named(f'll.photos.uploaded("{name}")', photo)
                    self._panel.photo.options = [*self._photos, *choices.PHOTOS]
                    self._panel.photo.value = UPLOADED + name
                self._meet()
        if given:
            self._panel.upload.value = ()  # so that the same file can be chosen again

    def _pin(self) -> None:
        self._pinned = self.question, self.heat
        self._panel.unpin.disabled = False
        self._ask()

    def _unpin(self) -> None:
        self._pinned = None
        self._panel.unpin.disabled = True
        self._ask()

    def _cancel(self) -> None:
        with self._lock:
            self._worker.cancel()
            self._stop("Cancelled, and the network is as it was. Choose anything to go on.")

    def _keep(self, write: Callable[[], str]) -> None:
        try:
            self._say(f"Saved as {write()}.")
        except (OSError, ValueError) as error:
            self._say(str(error))

    def _tell(self, done: int, of: int, seconds: float) -> None:
        self._panel.progress.value = pages.progress(done, of, seconds)

    def _say(self, text: str) -> None:
        self._panel.status.value = pages.live(text, "ll-status")

    def _stop(self, text: str) -> None:
        """Say why there is nothing more to come."""
        self._say(text)
        self._clear(text or "")
        self._panel.cancel.disabled = True

    def _clear(self, text: str) -> None:
        """Take away what no longer answers the question."""
        panel = self._panel
        panel.picture.value, panel.words.value = pages.waiting(text), pages.live("", "ll-words")
        panel.code.value = panel.progress.value = ""
        for button in (panel.png, panel.npy, panel.pin):
            button.disabled = True

    def __repr__(self) -> str:
        return self.figure.words

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, metadata = self.figure._repr_mimebundle_()
        return {**self.widget._repr_mimebundle_(), **data}, metadata
