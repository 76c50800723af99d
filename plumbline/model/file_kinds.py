"""Say what a file is that should hold weights and does not: a pointer, a page, an archive of something else."""

import zipfile
from pathlib import Path

BEGINNINGS = (  # of the file, and what a file that begins so is
    (b"version https://git-lfs", "a Git LFS pointer, not the file that it stands for (`git lfs pull` fetches that)"),
    (b"/annex/objects/", "a git-annex pointer, not the file that it stands for (`git annex get` fetches that)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes it"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\x1f\x8b", "a gzip archive, to be unpacked first"),
    (b"BZh", "a bzip2 archive, to be unpacked first"),
    (b"\xfd7zXZ\x00", "an xz archive, to be unpacked first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive, to be unpacked first"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF-", "a PDF document"),
)
LOOKED_AT = 1024  # bytes
LARGEST_HEADER = 100_000_000  # bytes, as in the safetensors library


def kind_of_file(path: Path) -> str | None:
    """Return what a file is that holds no weights, as far as its beginning tells; None if it does not."""
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
    if not start:
        return "empty (0 bytes)"
    if is_safetensors(start):
        return None
    for beginning, kind in BEGINNINGS:
        if start.startswith(beginning):
            return kind
    if start[257:262] == b"ustar":
        return "a tar archive, to be unpacked first"
    if start.startswith(b"PK"):
        return kind_of_zip(path)
    return kind_of_text(start)


def is_safetensors(start: bytes) -> bool:
    """Say whether a file that starts so is a safetensors file: eight bytes with the header's length, and JSON."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= LARGEST_HEADER


def kind_of_text(start: bytes) -> str | None:
    """Return what a text file is that starts so; None if it is no text."""
    try:
        text = start.decode("utf-8-sig", errors="strict" if len(start) < LOOKED_AT else "ignore").lstrip().lower()
    except UnicodeDecodeError:
        return None
    if text.startswith(("<!doctype html", "<html", "<head")):
        return "a web page (HTML), perhaps a server's error or login page"
    if text.startswith("<"):
        return "XML, perhaps a server's error message"
    if text.startswith(("{", "[")):
        return "JSON text, perhaps a server's error message"
    return "text" if all(character.isprintable() or character.isspace() for character in text) else None


def kind_of_zip(path: Path) -> str | None:
    """Return what a zip archive is; None if torch.save may have written it, or if it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return None
    names = [entry.filename for entry in entries]
    if any(name.partition("/")[2] == "constants.pkl" for name in names):
        return "a TorchScript archive, which holds code (save its state_dict() instead)"
    if not any(name.partition("/")[2] == "data.pkl" for name in names):
        return f"a zip archive of something else ({', '.join(names[:2]) or 'empty'})"
    # torch.save compresses nothing: what does may grow without bound.
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        return "a compressed zip archive, which torch.save does not write"
    return None
