"""Every stored notebook is clean, and the checks that say so can fail."""

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.warnings import DuplicateCellId, MissingIDFieldWarning

from tools.execute import clean_environment, execute

pytestmark = pytest.mark.slow

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"

# Cells whose output is not compared, by notebook and cell id, each with its reason: a measured time, say.
_BFLOAT16 = "bfloat16 keeps three digits, and each processor rounds its sums in another place"
NOT_COMPARED: dict[tuple[str, str], str] = {
    ("cookbook.ipynb", "half_and_gpu"): _BFLOAT16,
    ("cookbook.ipynb", "half_and_gpu-library"): _BFLOAT16,
}

MACHINE_PATH = re.compile(
    r"(?<![\w.:/~-])/(?:content|home|mnt|opt|private|root|tmp|Users|usr|var|work)/\w|\b[A-Za-z]:\\(?!n)\w"
)
TIME_STAMP = re.compile(r"\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d|\b\d\d:\d\d:\d\d\b")
ADDRESS = re.compile(r"\b0x[0-9a-f]{8,}\b")
FETCH = re.compile(
    r"^\s*(?:!|%pip|%conda|%%bash|%%sh)|\burllib\b|\brequests\.|https?://|hf_hub_download|load_state_dict_from_url"
    r"|torch\.hub|download\s*=\s*True",
    re.MULTILINE,
)
UNCOMPARED = re.compile(r"#\s*(?:NBVAL|PYTEST_VALIDATE)_\w*(?:IGNORE|SKIP|RAISES)\w*")
LINK = re.compile(r"\]\(<?([^)#\s>]+)[^)]*\)|(?:src|href)=\"([^\"#]+)")


def numbered(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def links(text: str) -> list[str]:
    """Return the relative paths that a piece of Markdown links to."""
    found = (match[1] or match[2] for match in LINK.finditer(text))
    return [path for path in found if not re.match(r"[a-z]+:", path)]


def faults(path: Path) -> Iterator[str]:
    """Yield one sentence for everything that a stored notebook should not have."""
    text = path.read_text(encoding="utf-8")
    if not re.fullmatch(r"\d\d_[a-z0-9_]+|cookbook", path.stem):
        yield f"{path.name} is not named NN_snake_topic.ipynb"
    if len(text.encode()) > 1.5e6:
        yield f"{len(text.encode()) / 1e6:.1f} MB, over 1.5 MB"
    if not text.endswith("}\n"):
        yield "no newline at the end"

    raw = json.loads(text)
    ids = [cell.get("id") for cell in raw["cells"]]
    if None in ids or len(set(ids)) < len(ids):
        yield "cell ids are missing or not unique"
    notebook = nbformat.reads(text, as_version=4)
    yield from _metadata_faults(notebook)
    if not notebook.cells[0].source.startswith("# "):
        yield "the first cell does not begin with a title (# …)"
    yield from _link_faults(path, notebook)

    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        yield "the cells were not executed once each, from top to bottom"
    lengths = [len(cell.source.splitlines()) for cell in code]
    # A recipe of the cookbook is pasted whole, and has 8 to 35 lines.
    if lengths and statistics.median(lengths) > 8 and path.stem != "cookbook":
        yield f"code cells have {statistics.median(lengths)} lines in the median, over 8"
    for cell in code:
        for fault in _cell_faults(path, cell):
            yield f"cell {cell.id}: {fault}"


def _metadata_faults(notebook: Any) -> Iterator[str]:
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"
    if "widgets" in notebook.metadata or "version" in notebook.metadata.get("language_info", {}):
        yield "metadata of one run or one machine: store the notebook with make notebooks"


def _link_faults(path: Path, notebook: Any) -> Iterator[str]:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for target in links(cell.source):
                if not (path.parent / target).exists():
                    yield f"cell {cell.id}: the link to {target} leads nowhere"
    order = numbered(path.parent)
    if path not in order:
        return
    place = order.index(path)
    for neighbour in order[max(0, place - 1) : place] + order[place + 1 : place + 2]:
        for name, cell in (("first", notebook.cells[0]), ("last", notebook.cells[-1])):
            if neighbour.name not in links(cell.source):
                yield f"the {name} cell does not link to {neighbour.name}"


def _cell_faults(path: Path, cell: Any) -> Iterator[str]:
    if len(cell.source.splitlines()) > 30:
        yield f"{len(cell.source.splitlines())} lines, over 30"
    if FETCH.search(cell.source):
        yield f"installs, downloads or names an address: {FETCH.search(cell.source)}"
    uncompared = [tag for tag in cell.metadata.get("tags", []) if tag.startswith(("nbval-", "raises-"))]
    if (uncompared or UNCOMPARED.search(cell.source)) and (path.name, cell.id) not in NOT_COMPARED:
        yield "keeps nbval from comparing it, and NOT_COMPARED gives no reason"
    if "execution" in cell.metadata:
        yield "carries the time of its run"
    yield from _text_faults(cell.source)
    for output in cell.outputs:
        yield from _output_faults(output)


def _text_faults(text: str) -> Iterator[str]:
    for what, pattern in (
        ("a path of one machine", MACHINE_PATH),
        ("a time stamp", TIME_STAMP),
        ("an address", ADDRESS),
    ):
        if found := pattern.search(text):
            yield f"{what}: {found[0]}"
    host = socket.gethostname()
    if len(host) > 3 and host != "localhost" and re.search(rf"\b{re.escape(host)}\b", text):
        yield "the name of this machine"


SHARE = re.compile(r"\d ?% (of the heat )?on the \w+", re.ASCII)
LUCK = re.compile("evenly spread|luck")


def _output_faults(output: Any) -> Iterator[str]:
    if output.output_type == "error":
        yield f"an error: {output.ename}"
        return
    said = output.get("text") or output.get("data", {}).get("text/plain", "")
    if SHARE.search(said) and not LUCK.search(said):
        yield f"a share of the heat without what luck gives: {said[:80]!r}"
    if output.output_type == "stream":
        if output.name == "stderr":
            yield f"a warning or a progress bar: {output.text[:80]}"
        yield from _text_faults(output.text)
        return
    for kind, content in output.data.items():
        if kind == "application/vnd.jupyter.widget-view+json":
            yield "the id of a widget, which changes with every run"
        elif kind.startswith("text/"):
            yield from _text_faults(content)
    for kind in ("image/png", "image/jpeg"):
        if kind in output.data:
            words = output.data.get("text/plain", "")
            if not words or words.startswith("<"):
                yield f"a picture without words: {words!r}"
            elif output.metadata.get(kind, {}).get("alt") != words:
                yield "a picture whose alt text differs from its words"


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_stored_notebook_is_clean(path: Path) -> None:
    assert list(faults(path)) == []


def toy(first: str, *sources: str, last: str) -> Any:
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_markdown_cell(first, id="first")]
    for number, source in enumerate(sources):
        notebook.cells.append(nbformat.v4.new_code_cell(source, id=f"code-{number}", execution_count=number + 1))
    notebook.cells.append(nbformat.v4.new_markdown_cell(last, id="last"))
    return notebook


def store(notebook: Any, path: Path) -> Path:
    path.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")
    return path


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Two clean notebooks that link to each other; the first has one cell and one picture."""
    one = toy("# One\n[next](01_two.ipynb)", "1 + 1", last="[next](01_two.ipynb)")
    words = "cat 0.38 · peak at row 3"
    picture = nbformat.v4.new_output(
        "display_data", {"image/png": "iVBORw0KGgo=", "text/plain": words}, metadata={"image/png": {"alt": words}}
    )
    one.cells[1].outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "2"}, execution_count=1), picture]
    store(one, tmp_path / "00_one.ipynb")
    store(toy("# Two\n[back](00_one.ipynb)", last="[back](00_one.ipynb)"), tmp_path / "01_two.ipynb")
    return tmp_path


def test_clean_notebooks_have_no_faults(course: Path) -> None:
    assert [fault for path in numbered(course) for fault in faults(path)] == []


def _set(**fields: Any) -> Any:
    return lambda notebook: notebook.cells[1].update(fields)


def _output(kind: str, data: Any = None, **fields: Any) -> Any:
    return lambda notebook: notebook.cells[1].outputs.append(nbformat.v4.new_output(kind, data, **fields))


BREAKS = {
    "were not executed": _set(execution_count=2),
    "an error: ValueError": _output("error", ename="ValueError", evalue="", traceback=[]),
    "a path of one machine: /home/a": _output("stream", name="stdout", text="loaded from /home/ann/cat.jpg"),
    "a path of one machine: C:\\U": _set(source='open("C:\\Users\\ann\\cat.jpg")'),
    "a time stamp: 2026-11-24 03:12": _output("stream", name="stdout", text="done 2026-11-24 03:12"),
    "a time stamp: 12:30:59": _output("display_data", {"text/plain": "12:30:59"}),
    "an address: 0x7f1200aa9910": _output("display_data", {"text/plain": "<Net at 0x7f1200aa9910>"}),
    "the name of this machine": _output("stream", name="stdout", text="run on workshop-7."),
    "a share of the heat without what luck gives": _output("stream", name="stdout", text="97 % of the heat on the cat"),
    "a warning or a progress bar": _output("stream", name="stderr", text="100%"),
    "a picture without words: ''": _output("display_data", {"image/png": ""}),
    "a picture without words: '<Figure": _output(
        "display_data", {"image/png": "", "text/plain": "<Figure size 640x480>"}
    ),
    "alt text differs": _output("display_data", {"image/png": "", "text/plain": "a cat"}),
    "whose alt text": _output("display_data", {"image/jpeg": "", "text/plain": "a cat"}),
    "the id of a widget": _output(
        "display_data", {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "slider"}
    ),
    "31 lines, over 30": _set(source="a = 1\n" * 31),
    "31 lines in the median": _set(source="a = 1\n" * 31),
    "downloads or names": _set(source="%pip install torch"),
    "names an address": _set(source="open('https://example.org/cat.jpg')"),
    "NOT_COMPARED gives no reason": _set(metadata={"tags": ["nbval-ignore-output"]}),
    "keeps nbval from": _set(source="# NBVAL_IGNORE_OUTPUT\n1"),
    "carries the time": _set(metadata={"execution": {"iopub.status.busy": ""}}),
    "over 1.5 MB": _output("stream", name="stdout", text="a" * 1_500_001),
    "begin with a title": lambda notebook: notebook.cells[0].update(source="[next](01_two.ipynb)"),
    "first cell does not link to 01_two": lambda notebook: notebook.cells[0].update(source="# One"),
    "last cell does not link to 01_two": lambda notebook: notebook.cells[-1].update(source="The end."),
    "02_three.ipynb leads nowhere": lambda notebook: notebook.cells[-1].update(source="[x](02_three.ipynb)"),
    "gone.png leads nowhere": lambda notebook: notebook.cells[-1].update(source='<img src="gone.png">'),
    "kernel is not python3": lambda notebook: notebook.metadata.update(
        kernelspec={"name": "conda", "display_name": "c"}
    ),
    "one machine: store": lambda notebook: notebook.metadata.update(
        language_info={"name": "python", "version": "3.11"}
    ),
    "of one run": lambda notebook: notebook.metadata.update(widgets={}),
}


@pytest.mark.parametrize("expected", BREAKS)
def test_every_fault_is_found(course: Path, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "workshop-7")
    path = course / "00_one.ipynb"
    notebook = nbformat.read(path, as_version=4)
    BREAKS[expected](notebook)
    store(notebook, path)
    assert any(expected in fault for fault in faults(path)), list(faults(path))


def test_faults_that_nbformat_would_repair_unseen_are_found(course: Path) -> None:
    path = course / "One more.ipynb"
    content = json.loads((course / "00_one.ipynb").read_text())
    for repeated in ("last", None):
        content["cells"][0]["id"] = repeated
        if repeated is None:
            del content["cells"][0]["id"]
        path.write_text(json.dumps(content))
        with pytest.warns((DuplicateCellId, MissingIDFieldWarning)):
            found = list(faults(path))
        assert "cell ids are missing or not unique" in found
    assert "no newline at the end" in found
    assert "One more.ipynb is not named NN_snake_topic.ipynb" in found


PICTURE = """\
from IPython.display import display
import ipywidgets
slider = ipywidgets.IntSlider()
words = "cat 0.38"
display({"image/png": "iVBORw0KGgo=", "text/plain": words}, raw=True, metadata={"image/png": {"alt": words}})
slider"""
PROGRESS = "from tqdm.auto import tqdm\nfor _ in tqdm(range(3)):\n    print('step')"


def test_executing_twice_leaves_no_difference_and_no_fault(course: Path) -> None:
    path = course / "00_one.ipynb"
    notebook = toy(
        "# One\n[next](01_two.ipynb)",
        "import pathlib\npathlib.Path('01_two.ipynb').exists()",
        PICTURE,
        PROGRESS,
        last="x",
    )
    notebook.metadata.widgets = {"state": {}}
    notebook.cells[2].metadata.execution = {"iopub.status.busy": "now"}
    notebook.cells[-1].source = "[next](01_two.ipynb)"
    content = json.loads(nbformat.writes(notebook))
    del content["cells"][2]["id"]
    path.write_text(json.dumps(content))

    execute(path)
    first = path.read_bytes()
    assert list(faults(path)) == []
    stored = nbformat.read(path, as_version=4)
    assert stored.cells[1].outputs[0].data["text/plain"] == "True"
    assert [cell.id for cell in stored.cells] == ["first", "code-0", "cell-02", "code-2", "last"]

    execute(path)
    assert path.read_bytes() == first


@pytest.mark.proof
def test_a_failing_cell_leaves_the_notebook_alone(course: Path) -> None:
    path = store(toy("# One", "1 + 1", "1 / 0", last="x"), course / "00_one.ipynb")
    before = path.read_bytes()
    script = Path(__file__).parent.parent / "tools" / "execute.py"
    done = subprocess.run([sys.executable, script, path], capture_output=True, text=True)
    assert done.returncode == 1
    assert "00_one.ipynb was left as it was, because a cell failed" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert path.read_bytes() == before


# What a cell shows and what was stored, for nbval to pass or to fail.
COMPARED = {
    "display('tiger cat 0.38')": ("tiger cat 0.38", "tiger cat 0.39", "passed"),
    "display('espresso 0.38')": ("espresso 0.38", "espresso 0.40", "failed"),
    "print('63 % on the cat')": ("63 % on the cat", "62 % on the cat", "passed"),
    "print('63 % on the cup')": ("63 % on the cup", "61 % on the cup", "failed"),
    "print('row 3, column 2')": ("row 3, column 2", "row 4, column 2", "failed"),
    "print('the same: yes')": ("the same: yes", "the same: no", "failed"),
    PICTURE: ('"cat 0.38"', '"cat 0.37"', "passed"),
    PICTURE.replace("cat", "cup"): ('"cup 0.38"', '"cup 0.36"', "failed"),
    PICTURE.replace("cat", "box"): ('"iVBORw0KGgo="', '"iVBORw0KGgp="', "passed"),
    PROGRESS: ("step", "step", "passed"),
}


@pytest.mark.proof
def test_a_notebook_alone_and_from_another_folder_is_compared_but_for_rounding(tmp_path: Path) -> None:
    root, project = NOTEBOOKS.parent, tmp_path / "project"
    shutil.copytree(root / "tools", project / "tools")
    for settings in ("pyproject.toml", "conftest.py"):
        shutil.copy(root / settings, project)
    path = store(toy("# One", *COMPARED, last="x"), project / "one.ipynb")
    execute(path)
    notebook = json.loads(path.read_text())
    for cell, (shown, stored, _) in zip(notebook["cells"][1:], COMPARED.values(), strict=False):
        before = json.dumps(cell["outputs"])
        assert shown in before
        cell["outputs"] = json.loads(before.replace(shown, stored))
    path.write_text(json.dumps(notebook))

    plain = {key: value for key, value in os.environ.items() if key not in clean_environment(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--color=no", path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=plain)
    results = re.findall(r"^(PASSED|FAILED) \S*one.ipynb::Cell (\d+)", done.stdout, re.MULTILINE)
    found = {int(cell): result.lower() for result, cell in results}
    assert found == {cell: wanted for cell, (_, _, wanted) in enumerate(COMPARED.values())}, done.stdout
    assert "beyond rounding, line 1: '61' became '63'" in done.stdout


def test_kernels_take_one_thread_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for asked in (None, "4"):
        monkeypatch.delenv("LESSONS_THREADS", raising=False)
        if asked:
            monkeypatch.setenv("LESSONS_THREADS", asked)
        assert clean_environment(tmp_path)["OMP_NUM_THREADS"] == (asked or "1")
