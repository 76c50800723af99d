"""Decode files on all cores while the network works, never more than a few batches ahead of it."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from plumbline.images.decoded import Unreadable
from tools.predict.sources import Source

AHEAD = 64  # images; of 256 pixels they take 12 MB

Decoded = tuple[Source, np.ndarray | Unreadable]


def decoded(sources: list[Source], pixels_of: Callable[..., np.ndarray]) -> Iterator[Decoded]:
    """Yield each source with its pixels, or with the reason why there are none, in order.

    Threads, not processes: Pillow decodes and resizes without holding Python's lock.
    """
    waiting: deque[tuple[Source, Future]] = deque()
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:
        # What decode() does about warnings is the whole process's: thread by thread, each puts back what it found.
        warnings.simplefilter("ignore")
        try:
            for source in sources:
                waiting.append((source, pool.submit(pixels_or_reason, source, pixels_of)))
                if len(waiting) > AHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for last, future in waiting:
                yield last, future.result()
        finally:  # where the reader ends early, nothing more is decoded
            pool.shutdown(cancel_futures=True)


def pixels_or_reason(source: Source, pixels_of: Callable[..., np.ndarray]) -> np.ndarray | Unreadable:
    """Return a source's pixels, uint8 (resize, resize, 3), or why there are none."""
    try:
        return pixels_of(source.path)
    except Unreadable as error:
        return error
