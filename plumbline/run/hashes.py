"""Hash files."""

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return a file's sha256 as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
