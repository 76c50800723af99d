"""What stands in for `python` in the tests: a stage, a tool or DVC is forked from the server, all else is run by Python.

    python -IS client.py ADDRESS PYTHON ARGUMENT ...

It imports little, because it starts as often as Python would.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def errors_of(address: str) -> Path:
    """Return the file that holds what the server printed."""
    return Path(f"{address}.errors")


def connect(address: str, command: list[str], environment: dict[str, str], streams: list[int]) -> socket.socket:
    """Ask the server for a command in the current folder, with these descriptors as input, output and errors."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(address)
    except ConnectionRefusedError:
        sys.exit(f"the server that forks commands for the tests has ended: {errors_of(address).read_text()}")
    socket.send_fds(connection, [json.dumps([command, str(Path.cwd()), environment]).encode()], streams)
    return connection


def main() -> None:
    address, python, *arguments = sys.argv[1:]
    match arguments:
        case ["-m", module, *_] | ["-u", "-m", module, *_] if (
            module.startswith(("stages.", "tools.")) or module == "dvc"
        ):
            command = arguments[arguments.index(module) :]
        case _:
            os.execv(python, [python, *arguments])
    connection = connect(address, command, dict(os.environ), [0, 1, 2])
    pid = int(connection.recv(64))
    for number in FORWARDED:
        signal.signal(number, lambda number, _: os.kill(pid, number))
    status = int(connection.recv(64))
    if status < 0:  # ended by a signal, and so does this
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main()
