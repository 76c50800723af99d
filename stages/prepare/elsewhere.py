"""Decode on workers that may be on other machines, and notice where these do not see the same files.

Workers write pixels straight to their place in one file and read images by their paths, so all machines need the
same file system at the same place. One that lacks it must not pass for a machine on which the images are bad.
"""

import socket
from pathlib import Path

from plumbline.images.decoded import Unreadable, read_file
from plumbline.run.errors import UserError
from stages.prepare.decoder_version import decoder_version
from stages.prepare.decoding import Facts, Limits, Unusable, read_image
from stages.prepare.layout import Candidate
from stages.prepare.pixel_cache import Segment

SHARED = "every worker needs the file system that holds the images and this project, at the same paths"


def read_elsewhere(version: str, path: Path, limits: Limits, pixels: Path, offset: int) -> tuple[Facts, int] | Unusable:
    """Do what `read_image` does, on a worker. Raises UserError if its code, or its file system, is another one."""
    if decoder_version() != version:
        raise UserError(
            f"a Dask worker on {socket.gethostname()} has another version of this project's code, or of Pillow, than "
            "this stage: install requirements.txt there, and start the workers anew, in this project's folder"
        )
    if not pixels.exists():
        raise UserError(f"a Dask worker on {socket.gethostname()} does not see {pixels}: {SHARED}")
    return read_image(path, limits, pixels, offset)


def refuse_what_is_not_shared(
    candidate: Candidate, result: tuple[Facts, int] | Unusable, place: Segment, row: int
) -> None:
    """Raise UserError if a worker could not read what can be read here, or if what it wrote does not arrive."""
    if isinstance(result, Unusable):
        if result.reason == "unreadable" and readable(candidate.path):
            raise UserError(f"a Dask worker cannot read {candidate.path} ({result.detail}), this machine can: {SHARED}")
    elif not place.holds(row, result[1]):
        raise UserError(f"{place.path} does not hold here what a Dask worker wrote there: {SHARED}")


def readable(path: Path) -> bool:
    """Say whether a file can be read on this machine."""
    try:
        read_file(path)
    except Unreadable:
        return False
    return True
