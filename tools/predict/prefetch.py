"""Decode files on all cores that the process may use while the network runs, at most a few batches ahead of it."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from plumbline.images.unreadable import Unreadable
from tools.predict.sources import Source

AHEAD = 64  # images; of 256 pixels they take 12 MB

Pixels = tuple[np.ndarray, int]  # uint8 (resize, resize, 3), and the shorter side as stored
Decoded = tuple[Source, Pixels | Unreadable]


def decoded(sources: list[Source], pixels_of: Callable[..., Pixels]) -> Iterator[Decoded]:
    """Yield each source with its pixels, or with the reason why it has none, in order.

    In threads, not processes: Pillow releases Python's global lock while it decodes and resizes.
    """
    waiting: deque[tuple[Source, Future]] = deque()
    with warnings.catch_warnings(), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        # decode() hides the warnings of all threads: here they are hidden throughout, so that none shows by chance.
        warnings.simplefilter("ignore")
        try:
            for source in sources:
                waiting.append((source, pool.submit(pixels_or_reason, source, pixels_of)))
                if len(waiting) > AHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for last, future in waiting:
                yield last, future.result()
        finally:  # also if the consumer stops early: then nothing more is decoded
            pool.shutdown(cancel_futures=True)


def pixels_or_reason(source: Source, pixels_of: Callable[..., Pixels]) -> Pixels | Unreadable:
    """Return a source's pixels and size, or the reason why it has none."""
    if source.refused:
        return Unreadable("unreadable", source.refused)
    try:
        return pixels_of(source.path)
    except Unreadable as error:
        return error
