"""The picture that opens the README is what the code draws today, and its words are the picture's."""

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_picture_is_what_the_code_draws() -> None:
    spec = importlib.util.spec_from_file_location("readme", ROOT / "tools" / "readme.py")
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    words = readme.picture().words
    assert readme.block(words) in README
    assert Image.open(ROOT / readme.PICTURE).info["Description"] == words
