"""joblib's backend for Dask, except that joblib is told of a batch that could not be run.

joblib 1.6.0 hears only of batches that came to an end, and waits for ever for one that Dask has given up: because
the worker died each time, or cannot import what the batch names. Imported only where Dask is asked for.
"""

from collections.abc import Callable
from concurrent.futures import Future

from joblib._dask import DaskDistributedBackend


class DaskBackend(DaskDistributedBackend):
    """joblib's own, with failures."""

    def submit(self, func: Callable, callback: Callable | None = None) -> Future:
        """Hand over a batch; `callback` gets its results, or the exception for which there are none."""
        future = super().submit(func, callback)
        future.add_done_callback(lambda done: callback(done.exception()) if done.exception() else None)
        return future
