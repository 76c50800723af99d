"""Addresses may hold a password or a signature, which belong into no result and no message."""

import re

URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+:/{1,2})(?P<authority>[^/?#]*)(?P<path>[^?#;]*).*", re.DOTALL)
HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d*)?")


class Address(str):
    """A path or URL as it may be shown; `with_secrets` is the whole of it, for the connection alone."""

    def __new__(cls, text: str) -> "Address":
        address = super().__new__(cls, without_secrets(text))
        address.with_secrets = text
        return address

    def __getnewargs__(self) -> tuple[str]:
        return (self.with_secrets,)


def without_secrets(text: str) -> str:
    """Return a URL without user, password, query and fragment; a path stays as it is."""
    url = URL.fullmatch(text)
    if url is None:
        return text
    host = url["authority"].rpartition("@")[2]
    if not HOST.fullmatch(host):  # a password with a slash in it ends up here
        return f"{url['scheme']}..."
    return url["scheme"] + host + url["path"]
