"""Read all files of a data set in parallel, and decode only those that the cache does not hold.

joblib gives the files to its workers, which are processes of this machine or Dask's (see `executors`). Each worker
writes its pixels straight to their place in one file, so that memory does not grow with the number of images.
"""

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from joblib import Parallel, cpu_count, delayed
from PIL import Image
from tqdm import tqdm

from plumbline.images.decoded import MAX_BYTES
from plumbline.run.errors import UserError
from plumbline.run.hashes import sha256_of
from stages.prepare.decoding import Facts, Limits, Unusable, decoder_version, printable, read_image
from stages.prepare.executors import read_on_worker, refuse_what_is_not_shared
from stages.prepare.folder_structure import Candidate
from stages.prepare.pixel_cache import PixelCache, Place
from stages.prepare.time_limit import TimeLimit

BAD_NAME = Unusable("bad name", "its name is not UTF-8 text, or holds control characters: rename it")

# Formats that share their suffixes: telephones write MPO, several JPEGs in one file, as .jpg; a .dib mostly is a BMP.
FAMILIES = {"MPO": "JPEG", "DIB": "BMP"}

BYTES_PER_PIXEL = 20  # at most, measured: JPEG 2000 19.3, WebP 16.0, with transparency and turned 12.2, 16 bits 6.4
CONTAINER_MEMORY = Path("/sys/fs/cgroup/memory.max")  # on Linux


class WorkerEnded(UserError):
    """A process that decodes images was ended."""


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
    candidates: list[Candidate],
    limits: Limits,
    cache: PixelCache,
    scratch: Path,
    *,
    remote: bool,
    seconds: float,
) -> list[UsableImage | Unusable]:
    """Return for each candidate an image, or the reason why its file gives none.

    The pixels lie in the cache, or in the folder `scratch` if the cache cannot be written. `remote` means that the
    workers may be on other machines; others give an image up after so many `seconds`. Raises UserError if a worker is
    killed, as happens when memory runs out, or if a remote worker has other code or another file system.
    """
    results: list[tuple[Facts, Place] | Unusable | None] = [
        None if printable(candidate.name) == candidate.name else BAD_NAME for candidate in candidates
    ]
    workers = -1 if remote else workers_in_memory(limits.max_pixels)
    if cache.known:
        paths = [(candidate.path,) for candidate in candidates]
        for i, sha256 in enumerate(in_parallel(sha256_or_none, paths, None, workers)):
            results[i] = results[i] or cache.find(sha256)
    missing = [i for i, result in enumerate(results) if result is None]
    if missing:
        segment = cache.new_segment(len(missing), scratch)
        tasks = [(candidates[i].path, limits, segment.path, row * segment.row_bytes) for row, i in enumerate(missing)]
        limit = TimeLimit(seconds, scratch.absolute())
        decode = partial(read_on_worker, decoder_version()) if remote else partial(read_image, limit=limit)
        for row, result in without_slow(decode, tasks, limit, workers):
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


def without_slow(
    decode: Callable, tasks: list[tuple], limit: TimeLimit, workers: int
) -> Iterator[tuple[int, tuple[Facts, int] | Unusable]]:
    """Yield the row and the result of each task. One that takes too long ends all workers; the rest is done by others.

    A task's last argument is its image's offset.
    """
    slow = Unusable("too slow", f"decoding it takes more than {limit.seconds:g} s, data.seconds_per_image")
    left = list(range(len(tasks)))
    while left:
        done = 0
        try:
            with closing(in_parallel(decode, [tasks[row] for row in left], "decoding", workers)) as decoded:
                for done, result in enumerate(decoded, start=1):
                    yield left[done - 1], result
            return
        except WorkerEnded:
            left = left[done:]
            passed = limit.passed()
            too_slow = [row for row in left if tasks[row][-1] in passed]
            if not too_slow:
                raise
            yield from ((row, slow) for row in too_slow)
            left = [row for row in left if row not in too_slow]


def workers_in_memory(max_pixels: int) -> int:
    """Return how many processes can each decode the largest image at once; two at least, so that none is this one."""
    memory = psutil.virtual_memory().total
    with suppress(OSError, ValueError):
        memory = min(memory, int(CONTAINER_MEMORY.read_text()))
    return max(2, min(cpu_count(), memory // (BYTES_PER_PIXEL * max_pixels)))


def in_parallel(function: Callable, tasks: list[tuple], progress: str | None, workers: int) -> Iterator:
    """Yield the function's result for each task, in the tasks' order, with a progress bar if `progress` names it.

    Raises WorkerEnded if one of the workers, -1 for as many as there are, ends.
    """
    results = Parallel(n_jobs=workers, return_as="generator")(delayed(function)(*task) for task in tasks)
    try:
        with tqdm(None, progress, len(tasks), unit="image", disable=None if progress else True) as bar:
            for result in results:
                yield result
                bar.update()
    except BrokenProcessPool:
        raise WorkerEnded(
            "a process that decodes images was ended from outside, as happens when memory runs out: "
            "free some, or lower data.max_pixels, and run the stage again; it goes on from its cache"
        ) from None
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about results that are not used, if an error ends the loop early
            results.close()


def sha256_or_none(path: Path) -> str | None:
    """Return the sha256 of a file, in hexadecimal, or None if it cannot be read, is not a file, or is too large."""
    try:
        return sha256_of(path) if path.is_file() and path.stat().st_size <= MAX_BYTES else None
    except OSError:
        return None
