"""What a teacher types: python -m tools.classroom grade|demo|variant, which `make classroom` and its neighbours do."""

import argparse
import csv
import sys
from pathlib import Path

import nbformat

from tools.classroom import build, report
from tools.classroom.course import Course
from tools.classroom.question import Sheet
from tools.classroom.sheets import SHEETS
from tools.classroom.synthetic import demo
from tools.classroom.synthetic.students import people
from tools.classroom.synthetic.troubles import TROUBLES

ASSIGNMENTS = Path(__file__).parents[2] / "notebooks" / "assignments"
SEED = 1  # of the variant that the repository shows


def classroom(course: Course, sheets: list[Sheet], seed: int) -> None:
    """Release what is not yet released; collect, check, grade and report what was handed in."""
    with course.open():
        for sheet in sheets:
            released = course.release(sheet, seed)
            course.collect(sheet)
            handed_in = list((course.folder / "submitted").glob(f"*/{sheet.name}"))
            if not handed_in:
                print(f"{sheet.name}: give out {released}; nothing was handed in yet.")
                continue
            became = course.grade(sheet)
            kept_out = [name for name, one in became.items() if not one["graded"]]
            print(f"{sheet.name}: {len(became)} hand-ins, {len(became) - len(kept_out)} graded.")
            for name in kept_out:
                print(f"  not graded: {name}: {became[name]['says']}")
            print(f"  the report: {report.write(course, sheet)} · the marks: {course.folder / 'grades.csv'}")


def demonstrate(course: Course, sheets: list[Sheet], seed: int, only: set[str], count: int) -> int:
    """Let a class that is no people go through everything; return how many lines of the export are not as expected.

    Args:
        course: in a new folder.
        sheets: which; the troubles are hand-ins of A1.
        seed: of the variant.
        only: the names of those who take part; nobody named means all.
        count: of hand-ins for each sheet, at least: the class comes again under other names until there are so many.
    """
    wrong = 0
    with course.open():
        for sheet in sheets:
            released = nbformat.read(course.release(sheet, seed), as_version=4)
            class_ = [one for one in people(sheet, seed, released) if not only or one.name in only]
            troubles = [name for name in TROUBLES if sheet.name == "a1" and (not only or name in only)]
            class_ = demo.grown(class_, count - len(troubles))
            demo.submit(course, sheet, class_)
            due = demo.trouble(course, sheet, seed, troubles)
            course.grade(sheet)
            best = max(class_, key=lambda one: one.score)
            demo.mark_essays(course, sheet, {best.name: float(sheet.essay_points)})
            best.points["essay"] = float(sheet.essay_points)
            course.must("export", "--exporter", "tools.classroom.export.Explained")
            wanted = demo.expected(class_, due, sheet)
            lines = [row for row in csv.DictReader(course.gradebook()) if row["assignment"] == sheet.name]
            found = {row["student_id"]: row["score"] for row in lines if row["student_id"] in wanted}
            off = {name: (found.get(name), score) for name, score in wanted.items() if found.get(name) != score}
            wrong += len(off)
            print(report.write(course, sheet).read_text(encoding="utf-8"))
            print(
                f"{sheet.name}: {len(wanted) - len(off)} of {len(wanted)} lines of grades.csv are as expected.",
                off or "",
            )
    print(f"All of it lies in {course.folder}: reports/, feedback/, grades.csv.")
    return wrong


def variant(sheets: list[Sheet], seed: int, folder: Path) -> None:
    """Write the sources of one variant."""
    for sheet in sheets:
        print(build.write(sheet, seed, folder))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.classroom", description=__doc__)
    parser.add_argument("what", choices=["grade", "demo", "variant"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--sheets", default=",".join(SHEETS))
    parser.add_argument("--only", default="")
    parser.add_argument("--students", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args(arguments)
    try:
        sheets = [_sheet(name) for name in given.sheets.split(",")]
        if given.what == "variant":
            variant(sheets, given.seed, given.folder)
        elif given.what == "demo":
            course = Course(demo.folder_of(given.folder), given.seconds, workers=given.workers)
            only = {*filter(None, given.only.split(","))}
            return int(demonstrate(course, sheets, given.seed, only, given.students) > 0)
        else:
            classroom(Course(given.folder, given.seconds, workers=given.workers), sheets, given.seed)
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _sheet(name: str) -> Sheet:
    if name not in SHEETS:
        raise ValueError(f"There is no sheet {name!r}; there are: {', '.join(SHEETS)}.")
    return SHEETS[name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
