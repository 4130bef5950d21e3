"""Every test, and every notebook's kernel, runs on the CPU, offline, and untouched by settings in a person's home.

It stands here, not under tests/, so that one notebook alone, and from any folder, runs under the same conditions.
"""

import os
import re
from pathlib import Path

import pytest

from tools.execute import clean_environment

pytest_plugins = ["tools.nbval_rounding"]


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before torch and matplotlib are imported; xdist's workers and the kernels inherit it."""
    os.environ.update(clean_environment(config.rootpath / ".pytest_cache" / "home"))

    import matplotlib

    matplotlib.use("agg")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a file of slow tests unread when none is asked for: what it imports takes longer than others' tests."""
    if "not slow" not in config.option.markexpr or collection_path.suffix != ".py":
        return None
    marked = re.search(r"^pytestmark = .*\bslow\b", collection_path.read_text(encoding="utf-8"), re.MULTILINE)
    return True if marked else None
