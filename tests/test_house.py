"""The files around the lessons agree with one another, and the Makefile says what is wrong in one sentence."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent

# What conda-forge calls differently from PyPI.
CONDA_NAMES = {"torch": "pytorch"}


def lock_versions(lock: str, python: str) -> dict[str, str]:
    """Return the version that the lock gives each package on Linux and this release of Python."""
    machine = {
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
        "os_name": "posix",
    }
    versions = {}
    for line in lock.splitlines():
        if line and not line.startswith("#"):
            pinned = Requirement(line)
            if pinned.marker is None or pinned.marker.evaluate(machine):
                versions[pinned.name] = str(pinned.specifier).removeprefix("==")
    return versions


def locks() -> dict[str, list[str]]:
    """Return the extras that each lock holds, as the Makefile says."""
    (line,) = re.findall(r"^LOCKS := ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    line = line.replace("\\\n", " ")
    return {lock: extras.split(",") for lock, extras in (each.split(":") for each in line.split())}


def asked_for(project: dict[str, Any], extras: Sequence[str]) -> dict[str, Requirement]:
    """Return what the library and these extras of it need directly, by name."""
    groups = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return {Requirement(line).name: Requirement(line) for group in groups for line in group}


def unmet(asked: dict[str, Requirement], versions: dict[str, str], lock: str) -> list[str]:
    """Return one sentence for each requirement that a lock does not meet."""
    found = []
    for name, requirement in asked.items():
        if name not in versions:
            found.append(f"{name} is not in {lock}: make lock")
        elif versions[name] not in requirement.specifier:
            found.append(f"{lock} has {name} {versions[name]}, pyproject.toml asks for {requirement.specifier}")
    return found


def disagreements(project: dict[str, Any], lock: str, environment: dict[str, Any]) -> list[str]:
    """Return one sentence for each thing that pyproject.toml, requirements.lock and environment.yml do not agree on."""
    direct = asked_for(project, locks()["requirements.lock"])

    conda = dict(line.split("=") for line in environment["dependencies"] if isinstance(line, str) and "=" in line)
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    pypi = dict(line.split("==") for line in pip if "==" in line)
    python = conda.pop("python")
    versions = lock_versions(lock, python)

    found = []
    if python not in SpecifierSet(project["requires-python"]):
        found.append(f"environment.yml has Python {python}, pyproject.toml asks for {project['requires-python']}")
    if "-e ." not in pip:
        found.append("environment.yml does not install the project itself")
    found += unmet(direct, versions, "requirements.lock")
    for name in direct:
        offered = [given[key] for given, key in ((conda, CONDA_NAMES.get(name, name)), (pypi, name)) if key in given]
        if offered != [versions.get(name)]:
            found.append(f"environment.yml has {name} {offered}, requirements.lock {versions.get(name)}")
    known = {CONDA_NAMES.get(name, name) for name in direct} | set(direct)
    found += [f"environment.yml has {name}, pyproject.toml has not" for name in {**conda, **pypi} if name not in known]
    return found


def test_pyproject_lock_and_environment_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert disagreements(project, (ROOT / "requirements.lock").read_text(encoding="utf-8"), environment) == []


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_every_lock_meets_the_ranges_and_every_extra_is_locked(python: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for lock, extras in locks().items():
        text = (ROOT / lock).read_text(encoding="utf-8")
        assert unmet(asked_for(project, extras), lock_versions(text, python), lock) == []
        assert f"extras {','.join(extras)}," in text.splitlines()[0], "make lock"
    assert {extra for extras in locks().values() for extra in extras} == set(project["optional-dependencies"])


def test_the_library_forces_no_release_on_anyone_and_lessons_are_an_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [Requirement(line) for line in project["dependencies"]]
    assert all(str(one.specifier).startswith(">=") and len(one.specifier) == 1 for one in needed)
    assert not {one.name for one in needed} & set(asked_for({**project, "dependencies": []}, ["lessons"]))


PROJECT = {
    "requires-python": ">=3.11",
    "dependencies": ["torch>=2.6", "tqdm"],
    "optional-dependencies": {"lessons": ["numpy"], "lab": [], "test": ["torchcam"], "elsewhere": ["quantus"]},
}
LOCK = """\
numpy==2.4.6 ; python_full_version < '3.12'
numpy==2.5.5 ; python_full_version >= '3.12'
six==1.17.0
torch==2.14.1
torchcam==0.5.0
tqdm==4.70.1
"""
ENVIRONMENT = "python=3.11 pip numpy=2.4.6 pytorch=2.14.1 tqdm=4.70.1"
PIP = ["torchcam==0.5.0", "-e ."]


@pytest.mark.parametrize(
    ("project", "lock", "environment", "pip", "expected"),
    [
        ({}, LOCK, ENVIRONMENT, PIP, []),
        (
            {},
            LOCK,
            ENVIRONMENT.replace("tqdm=4.70.1", "tqdm=4.70.0"),
            PIP,
            ["has tqdm ['4.70.0'], requirements.lock 4.70.1"],
        ),
        ({}, LOCK, ENVIRONMENT.replace("tqdm=4.70.1", ""), PIP, ["has tqdm [], requirements.lock 4.70.1"]),
        ({}, LOCK, ENVIRONMENT.replace("pytorch", "torch"), PIP, ["has torch [], requirements.lock 2.14.1"]),
        ({}, LOCK, ENVIRONMENT.replace("3.11", "3.12"), PIP, ["has numpy ['2.4.6'], requirements.lock 2.5.5"]),
        ({}, LOCK, ENVIRONMENT + " six=1.17.0", PIP, ["has six, pyproject.toml has not"]),
        ({}, LOCK, ENVIRONMENT, [*PIP, "tqdm==4.70.1"], ["has tqdm ['4.70.1', '4.70.1']"]),
        ({}, LOCK, ENVIRONMENT, PIP[:1], ["does not install the project itself"]),
        (
            {},
            LOCK.replace("tqdm", "rich"),
            ENVIRONMENT,
            PIP,
            ["tqdm is not in requirements.lock", "requirements.lock None"],
        ),
        ({"dependencies": ["torch<=2.13.0", "tqdm"]}, LOCK, ENVIRONMENT, PIP, ["asks for <=2.13.0"]),
        ({"requires-python": ">=3.12"}, LOCK, ENVIRONMENT, PIP, ["has Python 3.11, pyproject.toml asks for >=3.12"]),
    ],
)
def test_a_disagreement_is_found(
    project: Any, lock: str, environment: str, pip: list[str], expected: list[str]
) -> None:
    found = disagreements(PROJECT | project, lock, {"dependencies": [*environment.split(), {"pip": pip}]})
    assert len(found) == len(expected)
    assert all(part in sentence for part, sentence in zip(expected, found, strict=True)), found


def targets() -> set[str]:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return set(phony.split())


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_a_page_names_only_what_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)(?=`| +#| [A-Z]+=)", text, re.MULTILINE))
    assert named, "the page names no make target"
    assert named <= targets()
    linked = re.findall(r"\]\((?!https?:)([^)#]+)|(?:src|href)=\"(?!https?:)([^\"#]+)", text)
    assert [path for pair in linked for path in pair if path and not (ROOT / path).exists()] == []


def test_every_target_explains_itself_and_continuous_integration_runs_three() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([\w-]+) +\w", shown, re.MULTILINE)) == targets()
    run = re.findall(r"^make ([\w-]+)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert run == ["check", "test", "proofs"]


def test_the_workflow_for_windows_types_what_the_readme_says() -> None:
    said = re.search(r"```powershell\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert said
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "range.yml").read_text(encoding="utf-8"))
    typed = workflow["jobs"]["windows"]["steps"][-1]["run"].splitlines()
    *installing, opening = [line.strip() for line in said[1].strip().splitlines()]
    assert typed[: len(installing)] == installing
    assert "jupyterlab" in opening  # which waits for a person
    assert typed[len(installing)] == r".venv\Scripts\python -m pytest"


def test_the_weekly_workflow_covers_every_configuration() -> None:
    from tools import portability

    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "range.yml").read_text(encoding="utf-8"))["jobs"]
    matrix = jobs["range"]["strategy"]["matrix"]
    single = re.findall(r"^make portability ONLY=(\S+)$", jobs["kernels"]["steps"][-1]["run"], re.MULTILINE)
    assert {*matrix["configuration"], *single} == set(portability.CONFIGURATIONS)
    for each in matrix["include"]:
        assert each["python"] == portability.CONFIGURATIONS[each["configuration"]].python
    assert "windows-latest" in matrix["os"]


def test_the_course_table_links_every_lesson_that_exists_and_no_other() -> None:
    rows = re.findall(r"^\| (\d\d|–) \| (.*?) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    linked = [re.fullmatch(r"\[.+\]\(notebooks/(.+\.ipynb)\)", cell) for _, cell in rows]
    names = [match[1] for match in linked if match]
    assert names == sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert [number for (number, _), match in zip(rows, linked, strict=True) if match] == [
        name[:2] if name[:2].isdigit() else "–" for name in names
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_the_examples_of_the_readme_print_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)
    assert len(examples) == text.count("```python") > 0, "every example is followed by what it prints"
    for source, printed in examples:
        exec(source, {})
        assert capsys.readouterr() == (printed, "")
    assert (tmp_path / "where.png").stat().st_size > 0


@pytest.mark.slow
def test_the_wheel_carries_the_library_its_data_and_the_licence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = zipfile.ZipFile(wheel).namelist()
    library = [path for path in (ROOT / "lessons_lib").rglob("*") if path.suffix in (".py", ".typed")]
    assert ROOT / "lessons_lib" / "py.typed" in library, "type checkers would take no notice of the hints"
    for path in [*library, *(ROOT / "data").rglob("*.json")]:
        inside = path.relative_to(ROOT).as_posix()
        assert (inside if inside.startswith("lessons_lib") else f"lessons_lib/{inside}") in held
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert not any("tests/" in name or "notebooks/" in name for name in held)


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

# Stands in for Python: it makes environments, installs nothing, and writes down what it was asked.
FAKE_PYTHON = """\
#!/bin/sh
echo "$(basename "$0") $*" >> "$LOG"
case "$*" in
    *version_info*) exit {old} ;;
    *ensurepip*) exit {bare} ;;
    "-m pip --version") exit 0 ;;
    "-m pip install "*) test ! -e "$STOP" ;;
    "-m venv "*) for last; do :; done; rm -rf "$last"; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
    *purelib*) dirname "$0" ;;
esac
"""


class Workshop:
    """A copy of the Makefile in an empty folder, where the only Python is a stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Makefile", "requirements.lock", "requirements-classroom.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)

    def python(self, name: str, old: int = 0, bare: int = 0) -> str:
        path = self.folder / name
        path.write_text(FAKE_PYTHON.format(old=old, bare=bare))
        path.chmod(0o755)
        return str(path)

    def make(self, target: str, python: str, *variables: str) -> tuple[int, str, list[str]]:
        """Return make's exit status, what it printed, and what Python was asked to do."""
        log = self.folder / "log"
        log.write_text("")
        # `make test` sets variables that change what an inner make prints.
        outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        environment = outside | {"LOG": str(log), "STOP": str(self.folder / "stop")}
        command = ["make", target, f"PYTHON={python}", *variables]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr, log.read_text(encoding="utf-8").splitlines()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@needs_make
def test_make_says_that_no_python_is_new_enough(workshop: Workshop) -> None:
    status, said, _ = workshop.make("test", f"no-such-python {workshop.python('old', old=1)}")
    assert status != 0
    assert "Python 3.11 or newer is needed, and none of these is: no-such-python" in said
    assert not (workshop.folder / ".venv" / "bin").exists()


@needs_make
def test_make_says_what_debian_leaves_out(workshop: Workshop) -> None:
    status, said, _ = workshop.make("test", workshop.python("bare", bare=1))
    assert status != 0
    assert "apt install python3-venv" in said


@needs_make
def test_make_installs_once_and_then_only_does_its_job(workshop: Workshop) -> None:
    choice = f"{workshop.python('old', old=1)} {workshop.python('bare', bare=1)} {workshop.python('good')}"
    status, said, asked = workshop.make("test", choice)
    assert status == 0
    assert "First time here" in said
    assert "good -m venv --clear .venv" in asked
    assert "python -m venv --clear .classroom/venv" in asked, "the teacher's environment, which a test grades in"
    assert len([line for line in asked if line.startswith("python -m pip install")]) == 3

    assert workshop.make("test", choice) == (0, "", ["python -m pytest -n 2 --dist loadfile"])

    os.utime(workshop.folder / "requirements.lock")
    status, said, asked = workshop.make("test", choice)
    assert "First time here" not in said
    assert len([line for line in asked if "pip install" in line]) == 3
    assert not any(line.endswith(" .venv") for line in asked), "an environment that stands is brought up to date"


@needs_make
def test_an_interrupted_installation_starts_afresh(workshop: Workshop) -> None:
    (workshop.folder / "stop").touch()
    status, _, asked = workshop.make("test", workshop.python("good"))
    assert status != 0
    assert not any("pytest" in line for line in asked)
    (workshop.folder / "stop").unlink()
    status, _, asked = workshop.make("test", workshop.python("good"))
    assert status == 0
    assert "good -m venv --clear .venv" in asked
    assert asked[-1] == "python -m pytest -n 2 --dist loadfile"


@needs_make
def test_make_lab_says_that_the_port_is_taken(tmp_path: Path) -> None:
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    shutil.copy(ROOT / "Makefile", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = ["make", "--old-file=.venv/.installed", "lab", f"PORT={port}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"Port {port} is taken, perhaps by another JupyterLab" in done.stderr
    assert "make lab PORT=" in done.stderr


@needs_make
def test_make_lab_opens_copies_and_make_fresh_renews_one(workshop: Workshop) -> None:
    good = workshop.python("good")
    workshop.make("test", good)
    status, _, asked = workshop.make("lab", good)
    assert status == 0
    assert asked[1] == "python -m tools.copies", "the copies are there before JupyterLab opens one"
    assert asked[2].startswith("python -m jupyterlab ")
    assert asked[2].endswith("default_url=/lab/tree/my_notebooks/00_start_here.ipynb")
    assert workshop.make("fresh", good, "LESSON=04") == (0, "", ["python -m tools.copies 04"])


@needs_make
@pytest.mark.proof
def test_make_lab_starts_with_an_empty_home_on_a_copy_and_without_a_question_about_news(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name in ("Makefile", "notebooks"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    lab = subprocess.Popen(
        ["make", "--old-file=.venv/.installed", "lab", f"PORT={port}", "IP=127.0.0.1"],
        cwd=tmp_path,
        env=kept | {"HOME": str(tmp_path / "home"), "JUPYTER_TOKEN": "here"},
        start_new_session=True,
    )
    try:
        address = f"http://127.0.0.1:{port}/lab/api/settings/@jupyterlab/apputils-extension:notification?token=here"
        notification = _answer(address)["schema"]["properties"]
        assert (notification["fetchNews"]["default"], notification["checkForUpdates"]["default"]) == ("false", False)
        lesson = _answer(f"http://127.0.0.1:{port}/api/contents/my_notebooks/00_start_here.ipynb?content=0&token=here")
        assert lesson["writable"]
    finally:
        os.killpg(lab.pid, signal.SIGTERM)
        lab.wait(timeout=30)


def _answer(address: str) -> Any:
    """Return what a server says, once it has come up."""
    for _ in range(300):
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"{address} did not answer within a minute.")
