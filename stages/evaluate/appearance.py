"""What the images of a split are like without their content: how they are stored, how bright and how sharp they are."""

import numpy as np
import pandas as pd
from scipy.ndimage import laplace

from plumbline.audit.tables import read_images
from plumbline.training.splits import Split


def appearance_of(name: str, split: Split, numbers: np.ndarray) -> pd.DataFrame:
    """Return one row an image, in the manifest's order, with the columns below.

    The side is the shorter one in pixels, the aspect width over height. Brightness is the mean of the pixels in [0, 1],
    sharpness the standard deviation of the Laplacian of the mean of red, green and blue. `numbers` (N,) are the same
    for images that belong together: where they have no group of their own, it is the first one's path. `captured` is in
    days from 2000 on, by EXIF, NaN where it does not say so: the date of a file is that of its last copy. Source of the
    sharpness: Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy: a comparative study".
    """
    images = read_images()
    stored = images[images["split"] == name].reset_index(drop=True)
    pixels = split.images.numpy()
    paths = pd.Series(split.paths)
    captured = pd.to_datetime(stored["captured"], format="%Y-%m-%d %H:%M:%S", errors="coerce")
    return pd.DataFrame(
        {
            "path": paths,
            "side": stored[["width", "height"]].min(axis=1).astype(float),
            "aspect": stored["width"] / stored["height"],
            "brightness": [image.mean() / 255 for image in pixels],
            "sharpness": [laplace(image.sum(axis=2, dtype=np.int32)).std() / (3 * 255) for image in pixels],
            "format": stored["format"],
            "mode": stored["mode"],
            "group": stored["group"].where(stored["group"] != "", paths.groupby(numbers).transform("first")),
            "captured": (captured - pd.Timestamp(2000, 1, 1)) / pd.Timedelta(days=1),
        }
    )
