"""Read the pixels and labels of each split, as tensors, from what the prepare stage wrote."""

import errno
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from plumbline.data.prepared import read_manifest
from plumbline.run.paths import PREPARED


@dataclass(frozen=True)
class Split:
    """One split, in the manifest's order."""

    images: torch.Tensor  # uint8 (N, resize, resize, 3), backed by the file
    labels: torch.Tensor  # int64 (N,)
    paths: list[str]  # relative to data.root
    sha256: list[str]  # of the files
    shorter_sides: torch.Tensor | None = None  # int64 (N,), pixels as stored; None of an older manifest


def read_splits(folder: Path = PREPARED) -> dict[str, Split]:
    """Return every split that has images. The pixels stay on disk until they are indexed."""
    splits = {}
    for name, rows in read_manifest(folder).groupby("split", sort=False):
        images = mapped(folder / f"{name}.npy")
        assert len(images) == len(rows), f"{folder / name}.npy has {len(images)} images, the manifest {len(rows)}"
        labels = torch.tensor(rows["label"].to_numpy())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that torch could write to it, which nothing here does
            pixels = torch.from_numpy(images)
        sides = torch.tensor(rows["shorter_side"].to_numpy()) if "shorter_side" in rows else None
        splits[name] = Split(pixels, labels, rows["path"].to_list(), rows["sha256"].to_list(), sides)
    return splits


def mapped(path: Path) -> np.ndarray:
    """Return an array that stays on disk until it is indexed; the file itself is never changed.

    Copy on write, for torch wants memory that it may write to; read-only where memory and swap could not hold all of
    it, for then Linux refuses a mapping for writing.
    """
    try:
        return np.load(path, mmap_mode="c")
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        return np.load(path, mmap_mode="r")
