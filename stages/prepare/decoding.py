"""Read image files into arrays, on all cores; what is wrong with a file is noted, and stops nothing."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from plumbline.images import Unreadable, decode, resize_and_cut
from stages.prepare.layout import Candidate


@dataclass(frozen=True)
class Usable:
    """An image's pixels, uint8 (size, size, 3), and its facts for the manifest."""

    pixels: np.ndarray
    facts: dict[str, str | int]


@dataclass(frozen=True)
class Unusable:
    """Why a file gave no image."""

    reason: str
    detail: str


def read_image(candidate: Candidate, size: int) -> Usable | Unusable:
    """Read one file into pixels and facts; what is wrong with a file is returned, not raised."""
    if printable(candidate.name) != candidate.name:
        return Unusable("bad name", "its name is not UTF-8 text, or holds control characters: rename it")
    try:
        contents = candidate.path.read_bytes()
        image = decode(contents)
        pixels = resize_and_cut(image.rgb, size)
    except Unreadable as error:
        return Unusable(error.reason, str(error))
    except OSError as error:
        return Unusable("unreadable", str(error.strerror))
    facts = {
        "sha256": hashlib.sha256(contents).hexdigest(),
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "mode": image.mode,
        "orientation": image.orientation,
    }
    return Usable(pixels, facts)


def quarantine_row(name: str, unusable: Unusable) -> dict[str, str]:
    """Return the quarantine's row for a file."""
    return {"path": printable(name), "reason": unusable.reason, "detail": printable(unusable.detail)}


def printable(name: str) -> str:
    """Return the name as text that any reader of UTF-8 CSV takes, with whatever else escaped."""
    escaped = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if ord(c) >= 32 else f"\\x{ord(c):02x}" for c in escaped)


def prepare_split(folder: Path, candidates: list[Candidate], classes: list[str], size: int) -> tuple[list, list]:
    """Decode one split's files on all cores into `folder`/<split>.npy, uint8 (N, size, size, 3).

    Returns the manifest's rows and the quarantine's. Memory stays flat: the pixels go to the file.
    """
    split = candidates[0].split
    path = folder / f"{split}.npy"
    pixels = np.lib.format.open_memmap(path, "w+", np.uint8, (len(candidates), size, size, 3))
    results = Parallel(n_jobs=-1, return_as="generator")(delayed(read_image)(c, size) for c in candidates)
    manifest, quarantine = [], []
    progress = tqdm(zip(candidates, results, strict=True), split, len(candidates), unit="image", disable=None)
    for candidate, result in progress:
        if isinstance(result, Unusable):
            quarantine.append(quarantine_row(candidate.name, result))
            continue
        pixels[len(manifest)] = result.pixels
        place = {
            "split": split,
            "index": len(manifest),
            "path": candidate.name,
            "label": classes.index(candidate.class_name),
            "class": candidate.class_name,
        }
        manifest.append(place | result.facts)
    pixels.flush()
    if quarantine:
        drop_unused_rows(path, len(manifest))
    return manifest, quarantine


def drop_unused_rows(path: Path, used: int) -> None:
    """Cut an array file down to its first `used` rows."""
    shorter = path.with_suffix(".shorter.npy")
    np.save(shorter, np.load(path, mmap_mode="r")[:used])
    shorter.replace(path)
