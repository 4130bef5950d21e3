"""Change the library in small ways, see whether a test notices, and write the score of each room into CONTRIBUTING.md.

python -m tools.mutation                          # 300 mutants, drawn with the seed 1
python -m tools.mutation --seed 2 --count 100

A mutant is killed when a test under tests/ that `make test` runs notices it. tools/mutation/equivalent.toml lists those
that nobody could notice, with the reason. It works by forks, so not on Windows.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tqdm import tqdm

from tools.mutation import mutants
from tools.mutation.mutants import LIBRARY, ROOT, Mutant
from tools.mutation.scores import Tried, equivalent, page, survivors
from tools.mutation.trial import Trials

KEPT = ROOT / ".mutation"
SUITE = ("tests", "-o", "addopts=", "-m", "not proof", "-q", "--capture=sys", "-p", "no:cacheprovider")
PROCESSES = ("tests/test_cookbook.py", "tests/test_classroom.py")
"""What runs the library in processes of its own, for half a minute, where no mutant is seen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when no mutant survived but those that are known to change nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many are tried at once")
    asked = parser.parse_args(arguments)
    drawn = mutants.drawn(mutants.everywhere(), asked.count, asked.seed)
    tried: list[Tried] = []
    with tqdm(total=len(drawn), unit="mutant", disable=False) as bar:

        def told(mutant: Mutant, noticed: str) -> None:
            tried.append(Tried(mutant, *mutants.difference(mutant), noticed))
            bar.update()

        status = pytest.main(
            [*SUITE, *(f"--ignore={one}" for one in PROCESSES)], plugins=[Trials(drawn, asked.jobs, _trace(), told)]
        )
    if status:
        return int(status)
    known = equivalent()
    contributing = ROOT / "CONTRIBUTING.md"
    text = page(contributing.read_text(encoding="utf-8"), tried, asked.seed, asked.count, known)
    contributing.write_text(text, encoding="utf-8")
    left = survivors(tried, known)
    print(*left, f"{len(left)} of {len(tried)} mutants survived.", sep="\n")
    return 1 if left else 0


def _trace() -> Path:
    """Return where the trace of the code and the tests as they are now is kept."""
    KEPT.mkdir(exist_ok=True)
    content = hashlib.sha256()
    for path in sorted([*LIBRARY.rglob("*.py"), *(ROOT / "tests").glob("*.py")]):
        content.update(path.read_bytes())
    return KEPT / f"trace-{content.hexdigest()[:12]}.json"


if __name__ == "__main__":
    sys.exit(main())
