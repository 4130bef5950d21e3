"""The README keeps its word: the five lines print what it says, and its picture is what the code draws today."""

import contextlib
import importlib.util
import io
import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_five_lines_print_what_the_readme_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, printed = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL).groups()
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, {})
    assert out.getvalue() == printed
    assert Image.open(tmp_path / "where.png").info["Description"] == printed.strip()


def test_the_picture_is_what_the_code_draws() -> None:
    spec = importlib.util.spec_from_file_location("readme", ROOT / "tools" / "readme.py")
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    words = readme.picture().words
    assert readme.block(words) in README
    assert Image.open(ROOT / readme.PICTURE).info["Description"] == words
