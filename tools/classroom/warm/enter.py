"""What Jupyter starts as a kernel: it asks the warm process for one, passes interrupts on, and leaves when it leaves.

It imports the standard library alone, so that it starts at once: python -I -S enter.py -f CONNECTION_FILE.
"""

import json
import os
import select
import signal
import socket
import sys
import tempfile


def main() -> int:
    """Ask for a kernel and wait for its end."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(os.environ["CLASSROOM_SOCKET"])
    scratch = tempfile.mkdtemp(prefix="student-")  # where the kernel runs: an empty folder, with nobody's files in it
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CLASSROOM_SOCKET", "JPY_PARENT_PID", "JPY_SESSION_NAME")
    }
    request = {
        "command": ["kernel", *sys.argv[1:]],
        "environment": kept | {"HOME": scratch, "TMPDIR": scratch, "IPYTHONDIR": os.path.join(scratch, ".ipython")},
        "folder": scratch,
        "limits": json.loads(os.environ.get("CLASSROOM_LIMITS", "{}")),
        "log": os.devnull,
    }
    parent = os.getppid()
    signal.signal(signal.SIGINT, lambda *_: server.sendall(b"I"))
    server.sendall(json.dumps(request).encode() + b"\n")
    while not select.select([server], [], [], 1)[0]:
        if os.getppid() != parent:
            return 1
    return int(server.recv(100) or b"1") & 255


if __name__ == "__main__":
    sys.exit(main())
