"""The gradebook's export, with a word on every line: nbgrader export --exporter tools.classroom.export.Explained

nbgrader's own writes 0.0 for a failed run, for nothing handed in and for a blank sheet alike. Here a score stands
only where something was graded, and the last column says what happened to the rest.
"""

import csv
import json
from pathlib import Path
from typing import Any

from nbgrader.api import MissingEntry
from nbgrader.plugins.export import ExportPlugin

COLUMNS = ["assignment", "student_id", "timestamp", "score", "late_submission_penalty", "max_score", "status"]


class Explained(ExportPlugin):
    """Write one line for each student of each assignment."""

    def export(self, gradebook: Any) -> None:
        """Write grades.csv, in UTF-8, beside status.json, which says what became of each hand-in."""
        known: dict[str, dict[str, Any]] = json.loads(Path("status.json").read_text(encoding="utf-8"))
        with open(self.to or "grades.csv", "w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            for assignment in gradebook.assignments:
                of_all = {student.id for student in gradebook.students} | {*known.get(assignment.name, {})}
                for student in sorted(of_all):
                    said = known.get(assignment.name, {}).get(student, {"graded": False, "says": "nothing handed in"})
                    table.writerow([assignment.name, student, *_line(gradebook, assignment, student, said)])


def _line(gradebook: Any, assignment: Any, student: str, said: dict[str, Any]) -> list[Any]:
    if not said["graded"]:
        return ["", "", "", assignment.max_score, said["says"]]
    try:
        found = gradebook.find_submission(assignment.name, student)
    except MissingEntry:
        return ["", "", "", assignment.max_score, "graded, but the gradebook has no such line: grade again"]
    penalty = found.late_submission_penalty or 0.0
    waits = "graded; the essay waits for a person" if found.needs_manual_grade else "graded"
    if not found.score:
        waits += "; nothing was attempted, or nothing was right"
    if said["says"] != "as handed in":
        waits += f". {said['says']}"
    return [found.timestamp or "", max(0.0, found.score - penalty), penalty, assignment.max_score, waits]
