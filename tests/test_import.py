"""`import lessons_lib` brings in little more than torch, torchvision and matplotlib do."""

import subprocess
import sys

# Slow to import, and needed by few calls, which import them where they use them.
HEAVY = ("IPython", "ipywidgets", "matplotlib.pyplot", "safetensors", "scipy", "skimage", "timm", "tqdm")


def test_nothing_heavy_is_imported() -> None:
    # torch and torchvision may bring some of these themselves; that is no fault of ours.
    code = (
        "import sys, torch, torchvision, matplotlib; before = set(sys.modules); import lessons_lib; "
        f"print(sorted((set(sys.modules) - before) & set({HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
