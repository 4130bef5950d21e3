"""The process that forks, itself a fork of the one that was started: it answers `enter.py` and `warm/client.py`.

Each request is a line of JSON and gets a child of its own, in a session of its own: a fresh process that shares with
its siblings nothing but the memory of what was imported. The one who asks sends "I" to interrupt the child, and hangs
up to kill it and what it started; the child's exit status comes back as a line.
"""

import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import Any


def work(request: dict[str, Any]) -> int:
    """Do what is asked, in the child; return its exit status."""
    import resource

    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["log"]:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
    for name, most in request["limits"].items():
        resource.setrlimit(getattr(resource, name), (most, most))
    sys.argv = request["command"]
    name, *arguments = request["command"]
    try:
        if name == "kernel":
            from ipykernel.kernelapp import IPKernelApp

            IPKernelApp.launch_instance(argv=arguments, outstream_class="tools.classroom.warm.stream.Limited")
        else:
            from nbgrader.apps.nbgraderapp import NbGraderApp

            NbGraderApp.launch_instance(argv=arguments)
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(bool(left.code))
    except BaseException:  # noqa: BLE001 - whatever ends the child is told
        traceback.print_exc()
        return 1
    return 0


def attend(connection: socket.socket) -> None:
    """Fork the child, pass on interrupts, and say how it ended, or end it when the one who asked is gone."""
    request = json.loads(connection.makefile().readline())
    ended, ends = os.pipe()
    child = os.fork()
    if not child:
        os.close(ended)
        connection.close()
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        status = work(request)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    os.close(ends)
    while True:
        ready = select.select([connection.fileno(), ended], [], [])[0]
        if ended in ready:
            break
        told = connection.recv(1)
        if not told:
            break
        os.kill(child, signal.SIGINT)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and what it left running
    _, status = os.waitpid(child, 0)
    with suppress(OSError):  # perhaps nobody waits for it
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def serve(path: str) -> None:
    """Import everything, then fork for whoever asks, until the process that started this one is gone."""
    import ipykernel.kernelapp  # noqa: F401
    import nbgrader.apps.nbgraderapp  # noqa: F401
    import torch

    import lessons_lib  # noqa: F401
    import tools.classroom.marking
    import tools.classroom.warm.stream  # noqa: F401
    from lessons_lib.teach.measuring import network

    torch.set_num_threads(1)
    network()
    starter = os.getppid()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    listening.settimeout(1)
    while os.getppid() == starter:
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            while True:
                try:
                    if os.waitpid(-1, os.WNOHANG)[0] == 0:
                        break
                except ChildProcessError:
                    break
            continue
        if not os.fork():
            listening.close()
            connection.setblocking(True)
            attend(connection)
            os._exit(0)
        connection.close()
