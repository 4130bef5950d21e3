"""Starting the warm process, and running nbgrader's commands in it, each in a process of its own."""

import json
import os
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from tools.classroom.warm import server


class Warm:
    """The warm process, for as long as a `with` block lasts.

    Args:
        limits: what one student's kernel may use at most, as `resource` names it.
    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = dict(limits)
        self._folder = tempfile.TemporaryDirectory(prefix="classroom-")
        self._socket = str(Path(self._folder.name, "socket"))

    def __enter__(self) -> "Warm":
        folder = Path(self._folder.name)
        spec = folder / "jupyter" / "kernels" / "python3"
        spec.mkdir(parents=True)
        enter = Path(__file__).with_name("enter.py")
        argv = [sys.executable, "-I", "-S", str(enter), "-f", "{connection_file}"]
        (spec / "kernel.json").write_text(
            json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}), encoding="utf-8"
        )
        (folder / "tmp").mkdir()
        shares = [str(Path(one).parents[2] / "share" / "jupyter") for one in sys.path if one.endswith("-packages")]
        self._environment = {
            "CLASSROOM_LIMITS": json.dumps(self._limits),
            "CLASSROOM_SOCKET": self._socket,
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "HOME": str(folder / "tmp"),
            "IPYTHONDIR": str(folder / "tmp" / "ipython"),
            "JUPYTER_CONFIG_DIR": str(folder / "tmp" / "config"),
            "JUPYTER_DATA_DIR": str(folder / "jupyter"),
            "JUPYTER_PATH": os.pathsep.join([str(folder / "jupyter"), *shares]),
            "JUPYTER_RUNTIME_DIR": str(folder / "tmp" / "runtime"),
            "LANG": "C.UTF-8",
            "MPLBACKEND": "agg",
            "MPLCONFIGDIR": str(folder / "tmp" / "matplotlib"),
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUTF8": "1",
            "TMPDIR": str(folder / "tmp"),
            "TQDM_DISABLE": "1",
            "TZ": "UTC",
        }
        self._server = os.fork()  # with what is imported here already
        if not self._server:
            os.environ.update(self._environment)
            try:
                server.serve(self._socket)
            except BaseException:  # noqa: BLE001 - whatever ends it is told
                traceback.print_exc()
            os._exit(1)
        while not Path(self._socket).exists():
            if os.waitpid(self._server, os.WNOHANG)[0]:
                raise RuntimeError("The process that grades did not start; what it said stands above.")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._server, signal.SIGTERM)
        os.waitpid(self._server, 0)
        self._folder.cleanup()

    def nbgrader(self, *arguments: str, folder: Path, log: Path, limit: float = 3600) -> int | None:
        """Run `nbgrader ARGUMENTS` in a folder; return its exit status, or None if it ran out of time and was ended.

        Args:
            arguments: of nbgrader's own command line.
            folder: of the course.
            log: the file that what it says is added to.
            limit: seconds.
        """
        asking = socket.socket(socket.AF_UNIX)
        asking.connect(self._socket)
        request = {
            "command": ["nbgrader", *arguments],
            "environment": self._environment,
            "folder": str(folder),
            "limits": {},
            "log": str(log),
        }
        with asking:
            asking.sendall(json.dumps(request).encode() + b"\n")
            if not select.select([asking], [], [], limit)[0]:
                return None
            return int(asking.recv(100) or b"1")
