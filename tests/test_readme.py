"""The picture that opens the README is what the code draws today, and its words are the picture's."""

from pathlib import Path

import pytest
from PIL import Image

from tools import readme
from tools.pages import replaced

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_picture_is_what_the_code_draws() -> None:
    words = readme.opening().words
    assert replaced(README, "picture", readme.block(words)) == README
    assert Image.open(ROOT / readme.PICTURE).info["Description"] == words
