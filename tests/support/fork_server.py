"""A server that forks `python -m ...` and `dvc ...` from a process that has imported their libraries.

Every stage of a pipeline imports torch, pandas or matplotlib for up to five seconds before it does anything, and DVC
itself takes one. A test that is not about that puts tests/support/programs first on the PATH (see `run_in`). What runs
is the same: the module's `__main__`, from the folder where it was started, in a process with an environment, input
and output of its own. Of this project's modules the server keeps none.
"""

import atexit
import gc
import json
import multiprocessing
import os
import runpy
import select
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module

from tests.support.pipeline import STAGES

OWN = {"plumbline", "stages", "tests", "tools"}
DVC = ("dvc.cli.parser", "dvc.commands.status", "dvc.repo.reproduce")
NOT_TO_BE_FORKED = {"export"}  # its onnxruntime starts a thread


def import_libraries() -> None:
    """Import what the stages and DVC import, and forget the project's own modules."""
    for module in (*DVC, *(f"stages.{stage}.__main__" for stage in STAGES if stage not in NOT_TO_BE_FORKED)):
        import_module(module)
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
        del sys.modules[name]
    gc.freeze()


def serve(address: str) -> None:
    """Run the commands that are asked for, each in a process of its own, until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("listening", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                answer(connection)
                os._exit(0)
            connection.close()


def answer(connection: socket.socket) -> None:
    """Run a client's command as a child of this process, and send how it ended."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    request = json.loads(connection.makefile().readline())
    command = multiprocessing.get_context("fork").Process(target=run_command, args=(connection, streams, *request))
    command.start()
    command.join()
    connection.sendall(str(command.exitcode).encode())


def run_command(
    connection: socket.socket, streams: list[int], words: list[str], folder: str, environment: dict[str, str]
) -> None:
    """Do what `python -m` does with these words, in a process that has just been forked."""
    connection.close()
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
        os.close(stream)
    sys.stdin = os.fdopen(0)  # multiprocessing has closed it
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    sys.argv = words
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    finally:
        threading._shutdown()  # as Python ends; multiprocessing would first wait for joblib's workers, for ever
        atexit._run_exitfuncs()


if __name__ == "__main__":
    import_libraries()
    serve(sys.argv[1])
