"""Write scikit-learn's handwritten digits as image folders: the data that the project carries with it.

The classes 3 and 8 become data/digits/{train,val,test}, with the homework's 60 images for training and
24 for validation, and every other one held out for test. The eight other digits become
data/digits-source, on which the weights stage pre-trains. The images are real: 8 x 8 pixels, scanned
from what 13 people wrote (scikit-learn's copy of the test set of UCI's Optical Recognition of
Handwritten Digits; each pixel counts the dark ones in a 4 x 4 block of the scan).
"""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from plumbline.params.digits import Digits
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.fields import SomeSections
from plumbline.run.outputs import whole_folder
from plumbline.run.paths import DIGITS_SOURCE

TARGET = Path("data/digits")

TARGET_CLASSES = (3, 8)
BRIGHTEST = 16  # scikit-learn gives the pixels as counts from 0 to 16


class Params(SomeSections):
    digits: Digits


def split_class(images: int, train: int, val: int) -> dict[str, np.ndarray]:
    """Return each split's positions within a class of `images`: train and val evenly spread, the rest test.

    scikit-learn has the images in the order of their writers, so every split holds every hand.
    """
    train_positions = evenly_spread(np.arange(images), train)
    rest = np.setdiff1d(np.arange(images), train_positions)
    val_positions = evenly_spread(rest, val)
    return {"train": train_positions, "val": val_positions, "test": np.setdiff1d(rest, val_positions)}


def evenly_spread(positions: np.ndarray, count: int) -> np.ndarray:
    """Return `count` of the positions, as evenly spread as whole numbers allow."""
    return positions[np.arange(count) * len(positions) // count]


def write_target(folder: Path, images: np.ndarray, digits: np.ndarray, settings: Digits) -> None:
    """Write the classes to be told apart as `folder`/<split>/<digit>/<number in scikit-learn's set>.png."""
    for digit in TARGET_CLASSES:
        numbers = np.flatnonzero(digits == digit)
        splits = split_class(len(numbers), settings.train_images_per_class, settings.val_images_per_class)
        for split, positions in splits.items():
            for number in numbers[positions]:
                write_png(folder / split / str(digit) / f"{number:04}.png", images[number])


def write_source(folder: Path, images: np.ndarray, digits: np.ndarray) -> None:
    """Write the other classes, to pre-train on, as `folder`/<digit>/<number in scikit-learn's set>.png."""
    for number in np.flatnonzero(~np.isin(digits, TARGET_CLASSES)):
        write_png(folder / str(digits[number]) / f"{number:04}.png", images[number])


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an (8, 8) array of values from 0 to 16 as an 8-bit grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(image * (255 / BRIGHTEST)).astype(np.uint8)).save(path)


def main() -> None:
    settings = params_file.load(Params).digits
    bunch = load_digits()
    with whole_folder(TARGET) as folder:
        write_target(folder, bunch.images, bunch.target, settings)
    with whole_folder(DIGITS_SOURCE) as folder:
        write_source(folder, bunch.images, bunch.target)


if __name__ == "__main__":
    run(main)
