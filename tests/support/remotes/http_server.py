"""A store of files over HTTP, for DVC's http remote: GET and HEAD give one, PUT and POST take one.

python -m tests.support.remotes.http_server FOLDER serves a folder, and prints the port. A file that arrives is put in its
place when it is whole.
"""

import logging
import sys
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO

from flask import Flask, request, send_from_directory
from werkzeug.serving import make_server
from werkzeug.utils import safe_join

from plumbline.run.outputs import whole_file

BLOCK = 65_536  # bytes


def store(folder: Path) -> Flask:
    """Return the application."""
    app = Flask(__name__)

    @app.get("/<path:name>")
    def give(name: str) -> object:
        return send_from_directory(folder, name)  # with an ETag, by which DVC knows a file that it imported

    @app.route("/<path:name>", methods=["PUT", "POST"])
    def take(name: str) -> tuple[str, int]:
        with whole_file(Path(safe_join(folder, name))) as partial, partial.open("wb") as file:
            copy(request.stream, file)
        return "", 201

    return app


def copy(stream: RawIOBase, file: BinaryIO) -> None:
    """Write what a request holds into a file. Raises ConnectionError if the sender vanishes before the end.

    Where it vanishes within a chunk, werkzeug 3.1's stream shortens the buffer to what has come, and returns as many
    bytes as it wished for. Its `read` would copy those from the buffer, and so from beyond its end.
    """
    while count := stream.readinto(buffer := bytearray(BLOCK)):
        if count > len(buffer):
            raise ConnectionError("the sender has vanished")
        file.write(buffer[:count])


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, store(Path(sys.argv[1]).resolve()), threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
