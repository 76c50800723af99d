"""Fetch a file of weights over the network, and make sure that any such file is the one that was meant."""

import http.client
import socket
import sys
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.hub import download_url_to_file

from plumbline.run.errors import UserError
from plumbline.run.hashes import sha256_of
from plumbline.run.outputs import whole_file

SILENCE = 60  # seconds without a byte after which a server counts as gone


def download(url: str, path: Path, expected: str) -> str:
    """Fetch `url` to `path`, with a progress bar on a terminal, and return its sha256.

    Raises UserError, and leaves no file, if the address is no address, if the server is not there, refuses
    or falls silent, or if the sha256 does not start with `expected`.
    """
    try:
        with whole_file(path) as partial, silence_limit(SILENCE):
            download_url_to_file(url, str(partial), progress=sys.stderr.isatty())
            return verify(partial, url, expected)
    except UserError:
        raise
    except urllib.error.HTTPError as error:
        raise UserError(
            f"{url} cannot be fetched: the server says {error.code} {error.reason}; check weights.source"
        ) from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(f"{url} cannot be fetched: {reason}; check weights.source and the network") from None
    except ValueError as error:
        raise UserError(f"weights.source is {url!r}, which is no address: {error}") from None


@contextmanager
def silence_limit(seconds: float) -> Iterator[None]:
    """Let connections that are opened in the block fail after this many seconds without a byte."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def verify(path: Path, source: str, expected: str) -> str:
    """Return the sha256 of a file that came from `source`. Raises UserError if it does not start with `expected`."""
    actual = sha256_of(path)
    if not actual.startswith(expected):
        raise UserError(
            f"{source} has the sha256 {actual}, not {expected}: it is truncated or another file; "
            "fetch it again, or correct weights.sha256"
        )
    return actual
