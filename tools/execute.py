"""Run notebooks from a clean kernel and store their outputs, so that running them again changes nothing.

python tools/execute.py                            # every notebook under notebooks/
python tools/execute.py notebooks/02_cam.ipynb     # these only
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SECONDS_PER_CELL = 300
_WIDGET = "application/vnd.jupyter.widget-view+json"


def clean_environment(scratch: Path) -> dict[str, str]:
    """Return the environment variables that make a run depend on the repository alone.

    Settings in a person's home (matplotlib's, IPython's, Jupyter's) stay out, a GPU stays unused, and progress bars,
    whose text is a timing, stay silent. One thread each: sums come out alike however many cores there are, and
    notebooks that run side by side do not slow one another down; LESSONS_THREADS=4 takes four, to show that it does not
    matter. Caches go to `scratch`, so that no home is needed.
    """
    return {
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_CONFIG_DIR": str(scratch / "jupyter-config"),
        "JUPYTER_DATA_DIR": str(scratch / "jupyter-data"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "jupyter-runtime"),
        "MPLCONFIGDIR": str(scratch / "matplotlib"),
        "OMP_NUM_THREADS": os.environ.get("LESSONS_THREADS", "1"),
        "TQDM_DISABLE": "1",
    }


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Drop, in place, what differs between runs or machines: widget ids, timings, Python's version."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3"},
        }
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(_WIDGET, None)


def execute(path: Path) -> None:
    """Run one notebook in its own folder and write it back with its outputs.

    Raises:
        RuntimeError: a cell failed or took too long; the notebook is left as it was.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    for number, cell in enumerate(content["cells"]):
        cell.setdefault("id", f"cell-{number:02}")  # nbformat would give it a random one
    notebook = nbformat.reads(json.dumps(content), as_version=4)
    client = NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise RuntimeError(f"{path.name} was left as it was, because a cell failed:\n\n{error}") from error
    tidy(notebook)
    path.write_text(nbformat.writes(notebook, version=4).rstrip("\n") + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    paths = [Path(name).resolve() for name in arguments] or sorted(NOTEBOOKS.glob("*.ipynb"))
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.update(clean_environment(Path(scratch)))
        for number, path in enumerate(paths, start=1):
            print(f"[{number}/{len(paths)}] {path.name} … ", end="", flush=True)
            started = time.perf_counter()
            try:
                execute(path)
            except (RuntimeError, OSError, ValueError) as error:
                print(f"failed\n{error}", file=sys.stderr)
                return 1
            print(f"{time.perf_counter() - started:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
