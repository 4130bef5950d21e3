"""What a class did: by exercise, with the misconceptions that were recognised, in words and as a figure."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from matplotlib import figure as mpl

from lessons_lib.show.figure import Figure
from tools.classroom.course import Course
from tools.classroom.question import Sheet

RIGHT, PART, WRONG, OPEN = "all points", "some points", "no points", "not attempted"
COLOURS = {RIGHT: "#0072b2", PART: "#56b4e9", WRONG: "#d55e00", OPEN: "#999999"}  # told apart by colour-blind eyes


@dataclass
class Line:
    """One graded cell, over a class."""

    cell: str
    exercise: str
    became: Counter[str] = field(default_factory=Counter)
    recognised: Counter[str] = field(default_factory=Counter)


def lines(course: Course, sheet: Sheet) -> list[Line]:
    """Return what became of each cell that a machine graded, from the autograded notebooks."""
    found = [Line(f"{one.name}-test", one.exercise) for one in sheet.questions]
    found.append(Line(f"{sheet.experiment.name}-test", sheet.experiment.name))
    most = [*(one.points for one in sheet.questions), sheet.experiment.points]
    known = {one.exercise: set(one.asked.mistakes) for one in sheet.questions}
    for student in (name for name, one in course.status().get(sheet.name, {}).items() if one["graded"]):
        path = course.folder / "autograded" / student / sheet.name / f"{sheet.name}.ipynb"
        cells = {
            cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in nbformat.read(path, as_version=4).cells
        }
        for line, points in zip(found, most, strict=True):
            outputs = cells[line.cell].outputs
            said = "".join(one.get("text", "") for one in outputs)
            earned = float(
                next((one["data"]["text/plain"] for one in outputs if one.output_type == "execute_result"), 0)
            )
            state = RIGHT if earned == points else PART if earned else OPEN if "not attempted" in said else WRONG
            line.became[state] += 1
            head = f"{line.exercise}: not yet. "
            for sentence in (one.removeprefix(head) for one in said.splitlines() if one.startswith(head)):
                if sentence in known.get(line.exercise, ()):
                    line.recognised[sentence] += 1
    return found


def page(course: Course, sheet: Sheet, counted: list[Line], words: str) -> str:
    """Return the report in markdown."""
    became = course.status().get(sheet.name, {})
    kept_out = {name: one["says"] for name, one in sorted(became.items()) if not one["graded"]}
    repaired = {
        name: one["says"] for name, one in sorted(became.items()) if one["graded"] and one["says"] != "as handed in"
    }
    rows = [f"| {one.exercise} | {' | '.join(str(one.became[state]) for state in COLOURS)} |" for one in counted]
    parts = [
        f"# {sheet.name.upper()} · {sheet.title}: {len(became)} hand-ins, {len(became) - len(kept_out)} graded",
        f"![{words}](report.png)",
        "## By exercise",
        "\n".join([f"| exercise | {' | '.join(COLOURS)} |", f"| --- {'| --- ' * len(COLOURS)}|", *rows]),
        "## Misconceptions that were recognised",
    ]
    for one in counted:
        if one.recognised:
            told = "\n".join(f"- {times} × {sentence}" for sentence, times in one.recognised.most_common())
            parts.append(f"**{one.exercise}**\n\n{told}")
    for title, listed in (("Not graded, and why", kept_out), ("Repaired before grading", repaired)):
        if listed:
            parts.append(f"## {title}\n\n" + "\n".join(f"- {name}: {says}" for name, says in listed.items()))
    return "\n\n".join(parts) + "\n"


def figure(sheet: Sheet, counted: list[Line]) -> Figure:
    """Return the table of the report as bars, with its words."""
    drawn = mpl.Figure(figsize=(9, 0.5 * len(counted) + 1.6), layout="constrained")
    axis = drawn.subplots()
    names = [one.exercise for one in counted]
    left = [0] * len(counted)
    for state, colour in COLOURS.items():
        widths = [one.became[state] for one in counted]
        ink = "white" if state in (RIGHT, WRONG) else "black"
        bars = axis.barh(names, widths, left=left, color=colour, label=state)
        axis.bar_label(bars, [str(width) if width else "" for width in widths], label_type="center", color=ink)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axis.invert_yaxis()
    axis.set_xlabel("students")
    axis.locator_params(axis="x", integer=True)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(COLOURS), frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    full = ", ".join(f"{one.exercise} {one.became[RIGHT]}" for one in counted)
    return Figure(drawn, f"{sheet.name.upper()}: of {max(left, default=0)} students so many have all points: {full}.")


def write(course: Course, sheet: Sheet) -> Path:
    """Write reports/a1/report.md and its figure; return the page's path."""
    folder = course.folder / "reports" / sheet.name
    folder.mkdir(parents=True, exist_ok=True)
    counted = lines(course, sheet)
    drawn = figure(sheet, counted)
    drawn.save(folder / "report.png")
    (folder / "report.md").write_text(page(course, sheet, counted, drawn.words), encoding="utf-8")
    return folder / "report.md"
