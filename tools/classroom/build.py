"""From a sheet and a seed to an nbgrader source notebook: solutions and unseen tests stand between markers."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import nbformat
from nbformat import NotebookNode

from tools.classroom.question import Form, Question, Sheet, choice, form, unit

OPEN, CLOSE = "### BEGIN SOLUTION", "### END SOLUTION"
OPEN_TEST, CLOSE_TEST = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"


def canary(sheet: Sheet, seed: int) -> str:
    """Return a word that stands in every unseen test and solution of a variant, and may stand nowhere else."""
    return f"canary_{Random(f'{seed} {sheet.name} canary').randrange(16**8):08x}"


def source(sheet: Sheet, seed: int) -> NotebookNode:
    """Return the teacher's notebook of one variant."""
    bird = canary(sheet, seed)
    cells = [
        _text("title", _opening(sheet)),
        _code("setup", _setup(sheet, seed, bird), locked=True),
        nbformat.v4.new_code_cell("MY_NUMBER = 0  # your student number, digits only, instead of 0", id="number"),
    ]
    for place, question in enumerate(sheet.questions):
        ours = form(question, place, seed)
        cells += [
            _text(f"{question.name}-asks", _asks(place + 1, question, ours)),
            _code(question.name, _solution(question, ours, bird), solution=True),
            _code(f"{question.name}-test", _check(question, ours, place, bird), points=question.points),
        ]
    asked, times = sheet.experiment, unit(seed, len(sheet.questions))
    drawn = choice(sheet, seed)
    cells += [
        _text(
            f"{asked.name}-asks",
            f"## Experiment: {asked.title.lower()} ({asked.points} points)\n\n{asked.asks.format(choice=drawn)}\n\n"
            f"Return them times {times}: that number is this sheet's own.",
        ),
        _code(asked.name, measurement(sheet, drawn, times, bird), solution=True),
        _code(
            f"{asked.name}-test",
            f"print({asked.name}())\n{OPEN_TEST}\n{bird}.measured(MY_NUMBER, {asked.name})\n{CLOSE_TEST}",
            points=asked.points,
        ),
        _text("essay-asks", _essay(sheet)),
        _text("essay", f"{OPEN}\n{sheet.model} <!-- {bird} -->\n{CLOSE}", points=sheet.essay_points, solution=True),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3"},
        }
    )
    return notebook


def write(sheet: Sheet, seed: int, folder: Path) -> Path:
    """Write the teacher's notebook of one variant as nbgrader expects it, `folder/a1/a1.ipynb`; return its path."""
    path = folder / sheet.name / f"{sheet.name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(source(sheet, seed), version=4).rstrip("\n") + "\n", encoding="utf-8")
    return path


def names(sheet: Sheet) -> list[str]:
    """Return the ids of a sheet's graded cells, in order."""
    return [f"{one.name}-test" for one in sheet.questions] + [f"{sheet.experiment.name}-test", "essay"]


def _opening(sheet: Sheet) -> str:
    return (
        f"# {sheet.name.upper()} · {sheet.title}\n\n{sheet.opens} About 90 minutes; "
        f"{sheet.machine_points} points by machine, {sheet.essay_points} by a person.\n\n"
        "The network of this sheet keeps its numbers in **fixed point** and its axes in an order of its own. Each "
        "question says how they reach you, and in which unit the answer is wanted. Your function begins by turning "
        "them into the lesson's form.\n\n"
        "Under each function a check says what is right, and names the mistake if it knows it. Marking tries other "
        "numbers as well. Points are given for each input that comes out right. Leave the three dots where you have "
        "no answer; do not delete or copy cells; keep the file's name. You may use torch, numpy and `lessons_lib`, "
        "nothing else, and neither `input()` nor the network."
    )


def _setup(sheet: Sheet, seed: int, bird: str) -> str:
    return (
        "import torch\n\nimport lessons_lib as ll\nfrom lessons_lib import collage\n"
        "from lessons_lib.teach.telling import numbers\n\n"
        f"{OPEN_TEST}\nfrom tools.classroom.marking import Marker\n\n"
        f'{bird} = Marker("{sheet.name}", {seed})\nget_ipython().run_line_magic("xmode", "Minimal")\n{CLOSE_TEST}\n'
        "MY_NUMBER = 0\n\n\n"
        "def per_unit(answer, unit):  # from this sheet's unit to the lesson's; what is no answer stays what it is\n"
        "    return answer if answer is None or answer is ... else numbers(answer) / unit"
    )


def _asks(number: int, question: Question, ours: Form) -> str:
    lines = [f"## {number}. {question.title} ({question.points} points)", "", question.asks, ""]
    for name in ours.axes:
        lesson, here = question.arguments[name], ours.axes[name]
        order = "" if here == lesson else f"as {' × '.join(here)}, and "
        times = 2 ** ours.bits[name]
        lines.append(f"- `{name}` reaches you {order}in fixed point: {times} times as large.")
    lines.append(f"- Return the answer times {ours.unit}: that number is this sheet's own.")
    return "\n".join(lines)


def _solution(question: Question, ours: Form, bird: str) -> str:
    body = []
    for name in ours.axes:
        body.append(f"{name} = {back(question, ours, name)}  # {' × '.join(question.arguments[name])}")
    body += [*question.solution.splitlines(), f"return {ours.unit} * answer  # {bird}"]
    return _function(question.name, ours.order, body)


def measurement(sheet: Sheet, drawn: object, times: int, bird: str) -> str:
    """Return the function that measures what the experiment asks for."""
    body = [f"number, choice = MY_NUMBER, {json.dumps(drawn)}"]
    body += [*sheet.experiment.solution.splitlines(), f"return {times} * answer  # {bird}"]
    return _function(sheet.experiment.name, [], body)


def _function(name: str, arguments: Sequence[str], body: Sequence[str]) -> str:
    lines = [
        f"def {name}({', '.join(arguments)}):",
        f"    {OPEN}",
        *(f"    {line}".rstrip() for line in body),
        f"    {CLOSE}",
    ]
    return "\n".join(lines)


def _check(question: Question, ours: Form, place: int, bird: str) -> str:
    handed = ", ".join(_there(question, ours, name) if name in ours.axes else name for name in ours.order)
    return (
        f"def as_in_the_lesson({', '.join(question.arguments)}):  # the lesson's numbers, as this sheet hands them "
        f"over\n    return per_unit({question.name}({handed}), {ours.unit})\n\n\n"
        f'print(ll.check("{question.exercise}", as_in_the_lesson))\n'
        f"{OPEN_TEST}\n{bird}.mark({place}, {question.name})\n{CLOSE_TEST}"
    )


def _there(question: Question, ours: Form, name: str) -> str:
    return f"{name}{_permuted(question.arguments[name], ours.axes[name])} * {2 ** ours.bits[name]}"


def back(question: Question, ours: Form, name: str) -> str:
    """Return the expression that turns an argument into the lesson's form."""
    return f"{name}{_permuted(ours.axes[name], question.arguments[name])} / {2 ** ours.bits[name]}"


def _permuted(before: str, after: str) -> str:
    return "" if before == after else f".permute({', '.join(str(before.index(axis)) for axis in after)})"


def _essay(sheet: Sheet) -> str:
    rows = "\n".join(f"| 1 | {what} | {words} |" for what, words in sheet.rubric.items())
    return (
        f"## In your own words ({sheet.essay_points} points, marked by a person)\n\n{sheet.essay}\n\n"
        f"| points | for | means |\n| --- | --- | --- |\n{rows}"
    )


def _cell(name: str, cell: NotebookNode, points: int | None, solution: bool, locked: bool) -> NotebookNode:
    if points is not None or solution or locked:
        cell.metadata["nbgrader"] = {
            "grade": points is not None,
            "grade_id": name,
            "locked": locked or (points is not None and not solution),
            "schema_version": 3,
            "solution": solution,
            "task": False,
        }
        if points is not None:
            cell.metadata["nbgrader"]["points"] = points
    return cell


def _text(name: str, text: str, points: int | None = None, solution: bool = False) -> NotebookNode:
    return _cell(name, nbformat.v4.new_markdown_cell(text, id=name), points, solution, points is None)


def _code(
    name: str, text: str, points: int | None = None, solution: bool = False, locked: bool = False
) -> NotebookNode:
    return _cell(name, nbformat.v4.new_code_cell(text, id=name), points, solution, locked)
