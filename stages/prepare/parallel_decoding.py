"""Read all files of a data set in parallel, and decode only those that the cache does not hold.

joblib gives the files to its workers, which are processes of this machine or Dask's (see `executors`). Each worker
writes its pixels straight to their place in one file, so that memory does not grow with the number of images.
"""

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from joblib import Parallel, delayed
from PIL import Image
from tqdm import tqdm

from plumbline.run.errors import UserError
from plumbline.run.hashes import sha256_of
from stages.prepare.decoding import Facts, Limits, Unusable, decoder_version, printable, read_image
from stages.prepare.executors import read_on_worker, refuse_what_is_not_shared
from stages.prepare.folder_structure import Candidate
from stages.prepare.pixel_cache import PixelCache, Place

BAD_NAME = Unusable("bad name", "its name is not UTF-8 text, or holds control characters: rename it")

# Formats that share their suffixes: telephones write MPO, several JPEGs in one file, as .jpg; a .dib mostly is a BMP.
FAMILIES = {"MPO": "JPEG", "DIB": "BMP"}


@dataclass(frozen=True, slots=True)
class UsableImage:
    """A file that gave an image."""

    candidate: Candidate
    facts: Facts
    pixels: Place
    split: str | None  # None until it is chosen

    @property
    def misnamed(self) -> bool:
        """Return whether the file's suffix belongs to another format than its contents."""
        named = Image.registered_extensions().get(self.candidate.path.suffix.lower())
        return named is not None and FAMILIES.get(named, named) != FAMILIES.get(self.facts.format, self.facts.format)


def read_all(
    candidates: list[Candidate], limits: Limits, cache: PixelCache, scratch: Path, *, remote: bool
) -> list[UsableImage | Unusable]:
    """Return for each candidate an image, or the reason why its file gives none.

    The pixels lie in the cache, or in the folder `scratch` if the cache cannot be written. `remote` means that the
    workers may be on other machines. Raises UserError if a worker is killed, as happens when memory runs out, or if a
    remote worker has other code or another file system.
    """
    results: list[tuple[Facts, Place] | Unusable | None] = [
        None if printable(candidate.name) == candidate.name else BAD_NAME for candidate in candidates
    ]
    if cache.known:
        for i, sha256 in enumerate(in_parallel(sha256_or_none, [(candidate.path,) for candidate in candidates], None)):
            results[i] = results[i] or cache.find(sha256)
    missing = [i for i, result in enumerate(results) if result is None]
    if missing:
        segment = cache.new_segment(len(missing), scratch)
        tasks = [(candidates[i].path, limits, segment.path, row * segment.row_bytes) for row, i in enumerate(missing)]
        decode = partial(read_on_worker, decoder_version()) if remote else read_image
        with closing(in_parallel(decode, tasks, "decoding")) as decoded:
            for row, result in enumerate(decoded):
                if remote:
                    refuse_what_is_not_shared(candidates[missing[row]], result, segment, row)
                if not isinstance(result, Unusable):
                    facts, checksum = result
                    result = facts, segment.add(facts, row, checksum)
                results[missing[row]] = result
    return [
        result if isinstance(result, Unusable) else UsableImage(candidate, *result, candidate.split)
        for candidate, result in zip(candidates, results, strict=True)
    ]


def in_parallel(function: Callable, tasks: list[tuple], progress: str | None) -> Iterator:
    """Yield the function's result for each task, in the tasks' order, with a progress bar if `progress` names it."""
    results = Parallel(n_jobs=-1, return_as="generator")(delayed(function)(*task) for task in tasks)
    try:
        with tqdm(None, progress, len(tasks), unit="image", disable=None if progress else True) as bar:
            for result in results:
                yield result
                bar.update()
    except BrokenProcessPool:
        raise UserError(
            "a process that decodes images was ended from outside, as happens when memory runs out: "
            "free some, or lower data.max_pixels, and run the stage again; it goes on from its cache"
        ) from None
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about results that are not used, if an error ends the loop early
            results.close()


def sha256_or_none(path: Path) -> str | None:
    """Return the sha256 of a file, in hexadecimal, or None if it cannot be read or is not a file."""
    try:
        return sha256_of(path) if path.is_file() else None
    except OSError:
        return None
