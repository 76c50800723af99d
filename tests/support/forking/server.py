"""A server that has imported what stages, tools and DVC import, and forks `python -m` commands of them; run as a script.

    python server.py DESCRIPTOR PROJECT PYTHON

DESCRIPTOR is that of a socket that listens; PYTHON is what a command takes for Python where it starts others. The server
ends when its standard input does. A client (client.py says what it sends) is answered with the command's process number
and, when that has ended, its status.
"""

import gc
import importlib
import json
import multiprocessing
import os
import runpy
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

OURS = {"plumbline", "stages", "tools"}
STARTS_A_THREAD = {("stages", "export")}  # onnxruntime does: a process forked beside a thread may never end
LATER = (  # what the commands import as they run
    "timm",
    "onnxscript",
    "torch.onnx._internal.exporter._core",
    "dvc.cli.parser",
    "dvc.repo.experiments.executor.local",
    "dvc.repo.experiments.queue.celery",
    "dulwich.porcelain",
    "pygit2",
)


def import_libraries(project: str) -> None:
    """Import the project's commands, and forget its own modules: a command runs those of the folder it starts in."""
    sys.path.insert(0, project)
    for group in ("stages", "tools"):
        for path in sorted(Path(project, group).glob("*/__main__.py")):
            if (group, path.parent.name) not in STARTS_A_THREAD:
                importlib.import_module(f"{group}.{path.parent.name}.__main__")
    for library in LATER:
        importlib.import_module(library)
    for name in list(sys.modules):
        if name.partition(".")[0] in OURS:
            del sys.modules[name]
    sys.path.remove(project)
    gc.collect()
    gc.freeze()  # what was imported is shared with the commands, and not looked through in each of them


def serve(listener: socket.socket) -> None:
    """Fork an attendant for each client, until standard input ends."""
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            attend(connection)
            os._exit(0)
        connection.close()


def attend(connection: socket.socket) -> None:
    """Fork the command's process, and tell the client of its start and its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    process = multiprocessing.get_context("fork").Process(target=run, args=[streams, *json.loads(message)])
    process.start()
    for stream in streams:
        os.close(stream)
    connection.send(str(process.pid).encode())
    while process.is_alive():  # asked again and again: what the command has left in the background holds the sentinel
        if connection in select.select([process.sentinel, connection], [], [], 0.1)[0]:
            process.kill()  # nobody waits for it: the client was killed
            process.join()
    connection.send(str(process.exitcode).encode())


def run(streams: list[int], command: list[str], folder: str, environment: dict[str, str]) -> None:
    """Do what `python -m` does with this command, in a process that has just been forked."""
    os.setpgid(0, 0)  # a test may kill the group of a command: all that it has started, and no more
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
        os.close(stream)
    sys.stdin = os.fdopen(0)  # multiprocessing has closed it
    sys.stdout = os.fdopen(1, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding=sys.stderr.encoding, errors=sys.stderr.errors, closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    importlib.invalidate_caches()
    sys.modules.pop("sitecustomize", None)
    with suppress(ImportError):  # as Python does when it starts
        importlib.import_module("sitecustomize")
    sys.argv = command
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    finally:
        threading._shutdown()  # Python does this first at its end, multiprocessing only after it has waited for workers


def main() -> None:
    descriptor, project, python = sys.argv[1:]
    del sys.path[0]  # this script's folder
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how an attendant has ended
    import_libraries(project)
    sys.executable = python
    serve(socket.socket(fileno=int(descriptor)))
    os._exit(0)  # without triton's list of what it has not freed


if __name__ == "__main__":
    main()
