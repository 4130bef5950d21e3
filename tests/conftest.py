"""Every test, and every notebook's kernel, runs on the CPU, offline, and untouched by settings in a person's home."""

import os

import pytest
from execute import clean_environment


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before torch and matplotlib are imported; xdist's workers and the kernels inherit it."""
    os.environ.update(clean_environment(config.rootpath / ".pytest_cache" / "home"))

    # Workers that each take every core slow one another down.
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))

    import matplotlib

    matplotlib.use("agg")
