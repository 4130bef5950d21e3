"""A teacher's course folder: prepare, release, collect, check, grade one student at a time, feedback, export."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from tqdm.auto import tqdm

from tools.classroom import build, preflight
from tools.classroom.question import Sheet
from tools.classroom.warm.client import Warm

CONFIG = '''\
"""How this course is graded; made by `make classroom`, read by nbgrader."""

c = get_config()
c.CourseDirectory.root = {root!r}
c.CourseDirectory.course_id = {course!r}
c.Exchange.root = {exchange!r}
c.ClearSolutions.code_stub = {{"python": "return ..."}}
c.ClearSolutions.text_stub = "Your answer here."
c.ClearHiddenTests.enforce_metadata = False
c.Execute.timeout = {seconds}
c.IgnorePattern.enabled = True  # a warning is no error
c.IgnorePattern.pattern = "(?s).*"
c.LimitOutput.max_lines = 200
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.ClearHiddenTests",
    "nbgrader.preprocessors.GetGrades",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
'''
# What one student's kernel may use at most: seconds of a processor, bytes of memory of its own, bytes of a file.
LIMITS = {"RLIMIT_CPU": 600, "RLIMIT_DATA": 6_000_000_000, "RLIMIT_FSIZE": 100_000_000}


@dataclass
class Course:
    """One course folder.

    Args:
        folder: on a local disk; SQLite and network drives do not go together.
        seconds: that one cell may take.
        limit: seconds that one student may take altogether.
        workers: students that are graded at a time.
    """

    folder: Path
    seconds: int = 60
    limit: float = 600
    workers: int = 2
    _warm: Warm | None = field(default=None, repr=False)

    @property
    def log(self) -> Path:
        """What nbgrader says."""
        return self.folder / "nbgrader.log"

    @contextmanager
    def open(self) -> Iterator["Course"]:
        """Start the warm process that runs nbgrader, for as long as the block lasts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        exchange = self.folder / "exchange"
        exchange.mkdir(exist_ok=True)
        exchange.chmod(0o777)  # nbgrader asks for it: students write into it
        root = str(self.folder.resolve())
        if "+" in root:
            raise ValueError(
                f"nbgrader takes a + in a path for a separator: give the course a folder without, not {root}."
            )
        config = CONFIG.format(root=root, course="heatmaps", exchange=str(exchange.resolve()), seconds=self.seconds)
        (self.folder / "nbgrader_config.py").write_text(config, encoding="utf-8")
        with Warm(LIMITS) as self._warm:
            yield self
        self._warm = None

    def nbgrader(self, *arguments: str) -> int | None:
        """Run a command of nbgrader's; return its exit status, or None if it took too long."""
        assert self._warm, "inside `with course.open():`"
        folder, log = self.folder.resolve(), self.log.resolve()  # the warm process lies elsewhere
        return self._warm.nbgrader(*arguments, folder=folder, log=log, limit=self.limit)

    def must(self, *arguments: str) -> None:
        """Run a command of nbgrader's that has to work.

        Raises:
            RuntimeError: it did not; the last of what it said is told.
        """
        if self.nbgrader(*arguments) != 0:
            said = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
            raise RuntimeError(f"`nbgrader {' '.join(arguments)}` failed; {self.log} ends with:\n{said}")

    def release(self, sheet: Sheet, seed: int) -> Path:
        """Write one variant's source, make the released version and put it into the exchange; return its path.

        Raises:
            ValueError: another variant of the sheet was given out from this folder.
        """
        note = self.folder / "seeds.json"
        seeds = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
        if seeds.setdefault(sheet.name, seed) != seed:
            raise ValueError(
                f"{sheet.name} was given out from {self.folder} as the variant of seed {seeds[sheet.name]}, and what "
                f"was handed in belongs to that: keep it, or give seed {seed} a folder of its own, "
                "COURSE=another_folder."
            )
        build.write(sheet, seed, self.folder / "source")
        released = self.released(sheet)
        if not released.exists():
            self.must("generate_assignment", sheet.name)
            self.must("release_assignment", sheet.name)
            note.write_text(json.dumps(seeds), encoding="utf-8")
        return released

    def released(self, sheet: Sheet) -> Path:
        """Return the released notebook's path."""
        return self.folder / "release" / sheet.name / f"{sheet.name}.ipynb"

    def collect(self, sheet: Sheet) -> None:
        """Fetch what was handed in since, into submitted/."""
        if any((self.folder / "exchange" / "heatmaps" / "inbound").glob(f"*+{sheet.name}+*")):
            self.must("collect", sheet.name, "--update")

    def status(self) -> dict[str, dict[str, Any]]:
        """Return what became of each hand-in: sheet → student → graded or not, and sentences."""
        path = self.folder / "status.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def gradebook(self) -> list[str]:
        """Return the lines of the export."""
        return (self.folder / "grades.csv").read_text(encoding="utf-8").splitlines()

    def grade(self, sheet: Sheet) -> dict[str, Any]:
        """Check and grade what is in submitted/, make feedback, export; return the status of each student.

        A student whose hand-in has not changed since is not graded again. Nothing that one student handed in stops or
        changes the grading of another.
        """
        released = nbformat.read(self.released(sheet), as_version=4)
        students = sorted(path.parent.name for path in (self.folder / "submitted").glob(f"*/{sheet.name}"))
        everything = self.status()
        known = everything.setdefault(sheet.name, {})

        def one(student: str) -> None:
            folder = self.folder / "submitted" / student / sheet.name
            print_ = _fingerprint(folder)
            if known.get(student, {}).get("fingerprint") != print_:
                known[student] = {**self._one(sheet, student, released), "fingerprint": print_}

        with ThreadPoolExecutor(self.workers) as pool:
            list(tqdm(pool.map(one, students), total=len(students), desc=f"grading {sheet.name}", unit="student"))
        (self.folder / "status.json").write_text(
            json.dumps(everything, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8"
        )
        self.must("export", "--exporter", "tools.classroom.export.Explained")
        return known

    def _one(self, sheet: Sheet, student: str, released: nbformat.NotebookNode) -> dict[str, Any]:
        """Check and grade one student; return what became of it."""
        where = ["--student", student, "--force", "--CourseDirectory.submitted_directory=checked"]
        checked = self.folder / "checked" / student / sheet.name
        feedback = self.folder / "feedback" / student / sheet.name
        for stale in (checked, feedback, self.folder / "autograded" / student / sheet.name):
            shutil.rmtree(stale, ignore_errors=True)
        checked.mkdir(parents=True)
        says: list[str] = []
        try:
            ready = preflight.check(self.folder / "submitted" / student / sheet.name, released, f"{sheet.name}.ipynb")
            says += ready.repairs
            (checked / f"{sheet.name}.ipynb").write_text(nbformat.writes(ready.notebook, version=4), encoding="utf-8")
            if ready.stamp:
                (checked / "timestamp.txt").write_text(ready.stamp, encoding="utf-8")
            ended = self.nbgrader("autograde", sheet.name, *where)
            if ended is None:
                raise preflight.Refused(
                    f"Marking took longer than {self.limit:g} s and was ended: is there an endless loop?"
                )
            if ended or not (self.folder / "autograded" / student / sheet.name / f"{sheet.name}.ipynb").exists():
                raise preflight.Refused(
                    "Marking could not finish: the code ended the kernel, or swallowed the interrupt of an endless "
                    "loop."
                )
            graded = self.nbgrader("generate_feedback", sheet.name, "--student", student, "--force") == 0
            if not graded:
                says.append("The feedback could not be written; nbgrader.log says why.")
            graded = True
        except preflight.Refused as refused:
            says, graded = [str(refused), *says], False
        except Exception as error:  # noqa: BLE001 - whatever one hand-in does, the others are graded
            says, graded = (
                [f"The hand-in could not be checked ({type(error).__name__}: {error}): look at it.", *says],
                False,
            )
        feedback.mkdir(parents=True, exist_ok=True)
        if says:
            (feedback / "hand_in.txt").write_text("\n".join(says) + "\n", encoding="utf-8")
        return {"graded": graded, "says": " ".join(says) or "as handed in"}


def _fingerprint(folder: Path) -> str:
    """Return what changes when any file of a folder does."""
    found = hashlib.sha256()
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
