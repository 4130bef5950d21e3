"""The table of configurations: what is run, what is counted, and what is said when a configuration can't be run."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools import portability

LOCK = """\
# Made by a tool.
numpy==2.4.6 ; python_full_version < '3.12'
nvidia-cublas==13.1.1.3 ; sys_platform == 'linux'
timm==1.0.31
torch==2.14.1
torchvision==0.29.1
triton==3.8.0
"""
PROJECT = '[project]\ndependencies = ["numpy>=1.26.4", "torch>=2.6", "torchvision>=0.21"]\n'


class Runner:
    """Stands in for the machine: writes down what it was asked to run, and answers as told."""

    def __init__(self, **answers: tuple[int, str]) -> None:
        self.answers = {"suite": (0, "== 7 passed in 1.00s =="), "versions": (0, "3.11.7 2.6.0 0.21.0\n")} | answers
        self.asked: list[list[str]] = []
        self.given: list[dict[str, str]] = []

    def __call__(self, command: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
        self.asked.append(list(command))
        self.given.append(environment)
        if "ensurepip" in command[-1]:
            release = command[1].removeprefix("-") if command[0] == "py" else command[0].rpartition("python")[2]
            return self.answers.get("python", (0, f"{release} /made/python{release}\n"))
        if "platform.python_version" in command[-1]:
            return self.answers["versions"]
        if "pytest" in command:
            return self.answers["suite"]
        if "venv" in command:
            Path(command[-1]).mkdir()
        return self.answers.get("pip", (0, ""))

    def lines(self, word: str) -> list[str]:
        return [" ".join(command) for command in self.asked if word in command]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "requirements.lock").write_text(LOCK)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    monkeypatch.setattr(portability, "ROOT", tmp_path)
    monkeypatch.setattr(portability, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(portability.shutil, "which", lambda name: name)
    return tmp_path


def test_the_three_that_need_no_environment_run_where_the_tool_runs(folder: Path) -> None:
    runner = Runner()
    assert portability.main(["scalar", "one-thread", "four-threads"], runner) == 0
    assert runner.lines("pytest") == [f"{sys.executable} {' '.join(portability.SUITE)}"] * 3
    assert [given for given in runner.given if given] == [
        {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
        {"LESSONS_THREADS": "1"},
        {"LESSONS_THREADS": "4"},
    ]
    assert not runner.lines("install")


def test_oldest_has_the_lowest_releases_and_newest_the_locks_or_newer(folder: Path) -> None:
    runner = Runner()
    assert portability.main(["oldest", "newest"], runner) == 0
    wanted = [line.rpartition("--quiet ")[2] for line in runner.lines("install")]
    assert wanted == [
        f"--no-deps -r {folder / 'kept' / 'oldest.txt'}",
        "numpy==1.26.4 torch==2.6 torchvision==0.21",
        "--no-deps --no-build-isolation -e .",
        f"--no-deps -r {folder / 'kept' / 'newest.txt'}",
        "torch>=2.14.1 torchvision>=0.29.1",
        "--no-deps --no-build-isolation -e .",
    ]
    assert [line.split()[0] for line in runner.lines("venv")] == ["/made/python3.11", "/made/python3.13"]
    assert (folder / "kept" / "oldest.txt").read_text() == "timm==1.0.31"
    assert (folder / "kept" / "newest.txt").read_text() == "\n".join(LOCK.splitlines()[1:4:2])


def test_an_environment_is_made_once_and_again_when_it_should_hold_something_else(folder: Path) -> None:
    portability.main(["oldest"], Runner())
    second = Runner()
    portability.main(["oldest"], second)
    assert not second.lines("install") and len(second.lines("pytest")) == 1
    (folder / "pyproject.toml").write_text(PROJECT.replace("2.6", "2.7"))
    third = Runner()
    portability.main(["oldest"], third)
    assert len(third.lines("venv")) == 1
    assert any("torch==2.7" in line for line in third.lines("install"))


def test_an_environment_that_could_not_be_finished_is_made_again(folder: Path) -> None:
    assert portability.main(["oldest"], Runner(pip=(1, "no\nERROR: no matching distribution\n"))) == 1
    again = Runner()
    assert portability.main(["oldest"], again) == 0
    assert len(again.lines("venv")) == 1


def test_the_table_counts_what_pytest_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    red = "FAILED tests/test_a.py::test_b\n== 2 failed, 881 passed, 4 deselected, 1 error in 300.12s (0:05:00) ==\n"
    assert portability.main(["scalar"], Runner(suite=(1, red), versions=(0, "a warning\n3.13.0 2.7.1 0.22.1\n"))) == 1
    *_, head, _rule, row = capsys.readouterr().out.splitlines()
    assert head == "| configuration | Python | torch | torchvision | passed | failed | CPU seconds |"
    assert row.startswith("| scalar | 3.13.0 | 2.7.1 | 0.22.1 | 881 | 3 | ")
    assert (folder / "kept" / "scalar.log").read_text() == red


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"pip": (1, "ERROR: no torch==2.6\n")}, "oldest: its environment can't be made: ERROR: no torch==2.6"),
        ({"python": (1, "")}, "oldest: no Python 3.11 is found: put a python3.11 on the path"),
        ({"python": (0, "3.12 /made/python\n")}, "oldest: no Python 3.11 is found"),
        ({"versions": (1, "Traceback\nImportError: nms\n")}, "can't be imported there: ImportError: nms"),
        ({"suite": (4, "ERROR: no such option\n")}, "oldest: pytest ended with exit status 4: ERROR: no such option"),
        ({"suite": (-9, "")}, "oldest: pytest ended with exit status -9: it printed nothing"),
    ],
)
def test_what_can_not_be_run_is_said_and_is_not_green(
    answers: dict[str, tuple[int, str]], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert portability.main(["oldest"], Runner(**answers)) == 1
    assert said in capsys.readouterr().out.splitlines()[-1]


def test_a_suite_in_which_nothing_ran_is_not_green(folder: Path) -> None:
    assert portability.main(["scalar"], Runner(suite=(0, "== 9 deselected in 0.1s =="))) == 1


def test_a_configuration_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        portability.main(["skalar"], Runner())
    assert "there is no configuration 'skalar': choose from scalar, one-thread" in capsys.readouterr().err


def test_what_a_command_prints_comes_back_with_its_exit_status(capfd: pytest.CaptureFixture[str]) -> None:
    code = "import os, sys; print(os.environ['KEY'], '×'); sys.exit(3)"
    assert portability.run([sys.executable, "-X", "utf8", "-c", code], {"KEY": "value"}) == (3, "value ×\n")
