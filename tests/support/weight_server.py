"""A server of a weight file, which can do what servers on the network do."""

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """A server on this machine that sends one file, or only its beginning, or an error, or nothing."""

    def __init__(self, contents: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents = contents
        self.requests = 0
        self.redirect, self.status = "", 302
        self.authorised: list[str] = []  # the header of each request, empty where there is none

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that has left."""

    def url(self, name: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        self.server.authorised.append(self.headers.get("Authorization", ""))
        if self.path.startswith("/moved"):
            self.send_response(self.server.status)
            self.send_header("Location", self.server.redirect)
            self.end_headers()
            return
        if self.path.startswith("/endless"):
            self.send_response(200)
            self.end_headers()
            with suppress(ConnectionError):
                while True:
                    self.wfile.write(bytes(2**16))
        if self.path.startswith("/absent"):
            self.send_error(404)
            return
        if self.path.startswith("/silent"):
            threading.Event().wait(5)
            return
        self.send_response(200)
        claimed = 10**15 if self.path.startswith("/huge") else len(self.server.contents)
        self.send_header("Content-Length", str(claimed))
        self.end_headers()
        half = len(self.server.contents) // 2 if self.path.startswith("/truncated") else None
        self.wfile.write(self.server.contents[:half])

    def log_message(self, *arguments: object) -> None:
        pass
