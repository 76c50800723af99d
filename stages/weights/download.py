"""Fetch a file of weights over the network, and make sure that any such file is the one that was meant."""

import base64
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from tqdm import tqdm

from plumbline.run.addresses import without_secrets
from plumbline.run.errors import UserError
from plumbline.run.hashes import sha256_of
from plumbline.run.outputs import whole_file

SILENCE = 60  # seconds without a byte after which a server counts as gone
LARGEST = 8 * 2**30  # bytes; torchvision's largest file has 2.6e9
LARGEST_ON_DISK = 64 * 2**30  # bytes
CHUNK = 2**20  # bytes
SCHEMES = ("http", "https")


def download(url: str, path: Path, expected: str, otherwise: str = "") -> str:
    """Fetch `url` to `path`, with a progress bar on a terminal, and return its sha256.

    Raises UserError, and leaves no file, if the address is no address, if the server is not there, refuses, falls
    silent, sends more than LARGEST or leads to another scheme, or if the sha256 does not start with `expected`.
    No message holds the address's password or query. `otherwise` ends those about the network.
    """
    source = without_secrets(url)
    try:
        request = request_of(url)
        with whole_file(path) as partial:
            with opener().open(request, timeout=SILENCE) as response, partial.open("wb") as file:
                copy(response, file, source)
            return verify(partial, source, expected)
    except UserError:
        raise
    except urllib.error.HTTPError as error:
        with error:  # its own reason can hold the address of a redirect
            reason = f"{error.code} {http.client.responses.get(error.code, '')}".strip()
            raise UserError(f"{source} cannot be fetched: the server says {reason}; check weights.source") from None
    except (ValueError, http.client.InvalidURL):  # whose own words can hold the password
        raise UserError(f"weights.source is {source!r}, which is no address, or leads to none") from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(
            f"{source} cannot be fetched: {reason}; check weights.source and the network{otherwise}"
        ) from None


def request_of(url: str) -> urllib.request.Request:
    """Return the request for an address; its user and password, if it names any, are sent to its own host alone."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise UserError(
            f"weights.source is {without_secrets(url)!r}: only http:// and https:// are fetched; fetch the file "
            "yourself, and set weights.source to its path"
        )
    user, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)), headers={"User-Agent": "plumbline"})
    if user:
        credentials = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {credentials}")
    return request


class SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows a redirect within http or within https, and none from one to the other or elsewhere."""

    def http_error_302(self, request: urllib.request.Request, response: IO[bytes], *arguments: Any) -> Any:
        target = urljoin(request.full_url, arguments[-1].get("Location", ""))
        if urlsplit(target).scheme != urlsplit(request.full_url).scheme:
            response.close()
            raise UserError(
                f"{without_secrets(request.full_url)} leads to {without_secrets(target)}, of another scheme: "
                "if that is meant, set weights.source to it"
            )
        return super().http_error_302(request, response, *arguments)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def opener() -> urllib.request.OpenerDirector:
    """Return what opens http and https, and neither files nor other schemes."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        SameScheme(),
    ):
        director.add_handler(handler)
    return director


def copy(response: http.client.HTTPResponse, file: IO[bytes], source: str) -> None:
    """Copy what the server sends. Raises UserError for more than LARGEST bytes, announced or sent."""
    size = response.headers.get("Content-Length", "")
    announced = int(size) if size.isdecimal() else None
    received = 0
    with tqdm(total=announced, desc="download", unit="B", unit_scale=True, disable=None) as progress:
        while announced is None or announced <= LARGEST:
            chunk = response.read(CHUNK)
            received += len(chunk)
            if received > LARGEST:
                break
            if not chunk:
                return
            file.write(chunk)
            progress.update(len(chunk))
    raise UserError(
        f"{source} has more than {LARGEST / 2**30:g} GiB, the largest download of weights: is it the right file? "
        "If it is, fetch it yourself, and set weights.source to its path"
    )


def refuse_size(size: int, source: str) -> None:
    """Raise UserError for a file on disk that is larger than any weights, before it is read for its hash."""
    if size > LARGEST_ON_DISK:
        raise UserError(
            f"{source} has {size / 2**30:,.0f} GiB, more than the {LARGEST_ON_DISK / 2**30:g} of any weights"
        )


def verify(path: Path, source: str, expected: str) -> str:
    """Return the sha256 of a file that came from `source`. Raises UserError if it does not start with `expected`."""
    actual = sha256_of(path)
    if not actual.startswith(expected):
        raise UserError(
            f"{source} has the sha256 {actual}, not {expected}: it is truncated or another file; "
            "fetch it again, or correct weights.sha256"
        )
    return actual
