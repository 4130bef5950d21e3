"""Run the suite where it must give the same verdict: other kernels, other thread counts, other torch releases.

python tools/portability.py                  # every configuration
python tools/portability.py scalar oldest    # these only

`scalar`, `one-thread` and `four-threads` run in the environment of the Python that runs this file. `oldest` has the
lowest releases that pyproject.toml allows the library, on Python 3.11; `newest` has the newest torch and torchvision
that the index offers, from those of requirements.lock on, on Python 3.13. Both are kept under .portability/, 5.5 GB
each, with the rest of requirements.lock beside them; delete a folder, and it is made again. What pytest printed is kept
there too.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
KEPT = ROOT / ".portability"
SUITE = ("-m", "pytest", "-n", "2", "--dist", "loadfile", "-q", "-rfE")

# Wheels that one release of torch asks for and another does not.
_TORCHS_OWN = ("cuda-", "nvidia-", "torch==", "torchvision==", "triton==")


@dataclass(frozen=True)
class Configuration:
    """One way of running the suite.

    Args:
        environment: variables that are set for it.
        python: the release of Python that an environment of its own is made with; None runs where this file runs.
        chosen: from pyproject.toml's requirements of the library and the lock's lines to what its own environment has.
    """

    environment: dict[str, str] = field(default_factory=dict)
    python: str | None = None
    chosen: Callable[[Sequence[str], Sequence[str]], list[str]] = lambda project, lock: []


def lowest(project: Sequence[str], lock: Sequence[str]) -> list[str]:
    """Return the library's requirements, each at the lowest release that its range allows."""
    return [line.replace(">=", "==") for line in project]


def highest(project: Sequence[str], lock: Sequence[str]) -> list[str]:
    """Return torch and torchvision at the lock's releases or any newer one."""
    return [line.replace("==", ">=") for line in lock if line.startswith(("torch==", "torchvision=="))]


CONFIGURATIONS = {
    "scalar": Configuration({"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "one-thread": Configuration({"LESSONS_THREADS": "1"}),
    "four-threads": Configuration({"LESSONS_THREADS": "4"}),
    "oldest": Configuration(python="3.11", chosen=lowest),
    "newest": Configuration(python="3.13", chosen=highest),
}


class Failed(Exception):
    """A configuration can't be run; says why in one sentence."""


@dataclass(frozen=True)
class Row:
    """What came of one configuration."""

    name: str
    python: str = "–"
    torch: str = "–"
    torchvision: str = "–"
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    trouble: str = ""

    @property
    def green(self) -> bool:
        return not self.trouble and not self.failed and self.passed > 0

    def cells(self) -> tuple[str, ...]:
        counts = ("–", "–") if self.trouble else (str(self.passed), str(self.failed))
        return (
            self.name,
            self.python,
            self.torch,
            self.torchvision,
            *counts,
            f"{self.seconds:.0f}" if self.seconds else "–",
        )


Run = Callable[[Sequence[str], dict[str, str]], tuple[int, str]]


def run(command: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a command in the repository, show what it prints, and return its exit status and what it printed."""
    given = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    )
    printed = []
    assert process.stdout
    for line in process.stdout:
        print(line, end="", flush=True)
        printed.append(line)
    return process.wait(), "".join(printed)


def measured(name: str, run: Run) -> Row:
    """Run the suite in one configuration and count what came of it."""
    chosen = CONFIGURATIONS[name]
    try:
        python = installed(name, run) if chosen.python else sys.executable
        status, versions = run([python, "-c", _VERSIONS], {})
        if status:
            raise Failed(f"torch and torchvision can't be imported there: {_last(versions)}")
        release, torch, torchvision = _last(versions).split()
        before = os.times()
        status, printed = run([python, *SUITE], chosen.environment)
        after = os.times()
    except Failed as error:
        return Row(name, trouble=str(error))
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{name}.log").write_text(printed, encoding="utf-8")
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|errors?)\b", _last(printed))}
    bad = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    trouble = "" if bool(status) == bool(bad) else f"pytest ended with exit status {status}: {_last(printed)}"
    # On Windows, what other processes took is not told.
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return Row(name, release, torch, torchvision, counts.get("passed", 0), bad, seconds, trouble)


_VERSIONS = (
    "import platform, torch, torchvision; print(platform.python_version(), torch.__version__, torchvision.__version__)"
)


def _last(printed: str) -> str:
    lines = printed.strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def installed(name: str, run: Run) -> str:
    """Return the Python of a configuration's own environment, made anew when what it should hold has changed."""
    chosen = CONFIGURATIONS[name]
    folder, stamp = KEPT / name, KEPT / name / "installed.txt"
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    lock = [line for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    wanted = chosen.chosen(project, lock)
    own = tuple(f"{re.split('[=<>]', line)[0]}==" for line in wanted)
    rest = [line for line in lock if not line.startswith((*_TORCHS_OWN, *own))]
    content = "\n".join([*wanted, *rest])
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == content:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    KEPT.mkdir(exist_ok=True)
    pins = KEPT / f"{name}.txt"
    pins.write_text("\n".join(rest), encoding="utf-8")
    for command in (
        [found(str(chosen.python), run), "-m", "venv", str(folder)],
        [*pip, "--no-deps", "-r", str(pins)],
        [*pip, *wanted],
        [*pip, "--no-deps", "--no-build-isolation", "-e", "."],
    ):
        status, printed = run(command, {})
        if status:
            raise Failed(f"its environment can't be made: {_last(printed)}")
    stamp.write_text(content, encoding="utf-8")
    return python


def found(release: str, run: Run) -> str:
    """Return a Python of this release that can make environments.

    Looked for: the one that runs this file, `python3.13` on the path, pyenv's, and Windows' launcher's.
    """
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{release}.*/bin/python"))
    asked = [[sys.executable], [f"python{release}"], *([str(path)] for path in pyenv), ["py", f"-{release}"]]
    look = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for command in asked:
        if shutil.which(command[0]) is None:
            continue
        status, printed = run([*command, "-c", look], {})
        if status == 0 and printed.startswith(f"{release} "):
            return printed.removeprefix(f"{release} ").strip()
    raise Failed(f"no Python {release} is found: put a python{release} on the path")


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown, and under it why a configuration was not run."""
    head = ("configuration", "Python", "torch", "torchvision", "passed", "failed", "CPU seconds")
    lines = [head, ("---",) * len(head), *(row.cells() for row in rows)]
    notes = [f"{row.name}: {row.trouble}" for row in rows if row.trouble]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), *notes])


def main(arguments: Sequence[str] | None = None, run: Run = run) -> int:
    """Run the command line; 0 when every configuration is green."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(CONFIGURATIONS)}")
    names = parser.parse_args(arguments).names or list(CONFIGURATIONS)
    if unknown := [name for name in names if name not in CONFIGURATIONS]:
        parser.error(f"there is no configuration {unknown[0]!r}: choose from {', '.join(CONFIGURATIONS)}")
    rows = []
    for name in names:
        print(f"== {name}", flush=True)
        rows.append(measured(name, run))
    print("", table(rows), sep="\n")
    return 0 if all(row.green for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
