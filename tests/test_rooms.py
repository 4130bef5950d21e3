"""The house plan holds: rooms import downwards, the core stands alone, a file and a folder fit one head."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "lessons_lib"
MODULES = sorted(LIBRARY.rglob("*.py"))

ALONE = """
import torch, torchvision
from lessons_lib.core.explain import explain

torch.manual_seed(0)
(heat,) = explain(torchvision.models.resnet18(weights=None).eval(), torch.randn(1, 3, 224, 224), 281)
heat.show().save("where.png")
print(heat.layer, tuple(heat.values.shape), bool(heat.values.any()))
"""


@pytest.mark.proof
def test_core_and_show_copied_alone_into_an_empty_folder_explain_a_resnet(tmp_path: Path) -> None:
    for room in ("core", "show"):
        shutil.copytree(LIBRARY / room, tmp_path / "lessons_lib" / room)
    # -S and -E keep the installed library out of sight; the packages that it needs come back by name.
    packages = [path for path in sys.path if path.endswith("site-packages")]
    code = f"import sys; sys.path[:0] = {[str(tmp_path), *packages]!r}\n" + ALONE
    done = subprocess.run([sys.executable, "-S", "-E", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stderr, done.stdout) == ("", "layer4 (7, 7) True\n")
    assert (tmp_path / "where.png").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_a_module_fits_one_head_and_says_its_job_first(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    first = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    assert first.endswith((".", "?")) and len(first) > 20


@pytest.mark.slow
@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=lambda path: path.name)
def test_a_folder_holds_ten_files_at_most(folder: Path) -> None:
    assert folder.name == "exercises" or len(list(folder.glob("*.py"))) <= 10


PLANTED = {
    "The rooms": ("show/ties.py", "from lessons_lib.core import records"),
    "Networks know no scores": ("models/weights.py", "from lessons_lib.metrics import truth"),
    "The core": ("core/engine/outputs.py", "from lessons_lib.core import records"),
    "No two neighbours": (
        "photos/cutouts.py",
        "def late():\n    from lessons_lib.photos import collage\n    return collage",
    ),
}


@pytest.mark.proof
@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_import_breaks_its_contract(contract: str, tmp_path: Path) -> None:
    shutil.copytree(LIBRARY, tmp_path / "lessons_lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    name, line = PLANTED[contract]
    with (tmp_path / "lessons_lib" / name).open("a", encoding="utf-8") as file:
        file.write(f"\n\n{line}\n")
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert done.returncode == 1 and any(line.startswith(contract) for line in broken), done.stdout
