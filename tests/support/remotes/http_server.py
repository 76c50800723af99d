"""A store of files over HTTP, for DVC's http remote: GET and HEAD give one, PUT and POST take one.

python -m tests.support.remotes.http_server FOLDER serves a folder, and prints the port. A file that arrives is put in its
place when it is whole; where the sender vanishes before, werkzeug ends the reading of its stream with an error.
"""

import logging
import shutil
import sys
from pathlib import Path

from flask import Flask, request, send_from_directory
from werkzeug.serving import make_server
from werkzeug.utils import safe_join

from plumbline.run.outputs import whole_file


def store(folder: Path) -> Flask:
    """Return the application."""
    app = Flask(__name__)

    @app.get("/<path:name>")
    def give(name: str) -> object:
        return send_from_directory(folder, name)  # with an ETag, by which DVC knows a file that it imported

    @app.route("/<path:name>", methods=["PUT", "POST"])
    def take(name: str) -> tuple[str, int]:
        with whole_file(Path(safe_join(folder, name))) as partial, partial.open("wb") as file:
            shutil.copyfileobj(request.stream, file)
        return "", 201

    return app


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, store(Path(sys.argv[1]).resolve()), threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
