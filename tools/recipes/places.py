"""Whether a folder can be written to, asked before the work is done and not after it."""

import os
import tempfile
from pathlib import Path


def unwritable(folder: Path) -> str:
    """Return, in one sentence, why the files of a folder can't be written; nothing if they can.

    The folder is made where it is missing.

    Example:
        >>> unwritable(Path("data", "weights"))
        ''
    """
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror
    else:
        locked = [file.name for file in folder.iterdir() if not os.access(file, os.W_OK)]
        if not locked:
            return ""
        reason = f"no right to change {', '.join(sorted(locked))}"
    return (
        f"data/{folder.name} can't be written here ({reason}): give yourself the right to, or work in a copy of the "
        "repository"
    )
