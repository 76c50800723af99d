"""The results of a run on small images with any class names, without its training, for what is drawn of them."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from plumbline.run.paths import BACKBONE
from stages.evaluate import __main__ as evaluate
from stages.gallery import __main__ as gallery
from stages.plot import __main__ as plot
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace
from tests.support.models import write_random_model


def write_images(root: Path, classes: list[str], images: int) -> None:
    """Write train/, val/ and test/ with class folders of noise, each image different, of various sizes."""
    chance = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in classes:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(images):
                size = (int(chance.integers(30, 90)), int(chance.integers(30, 90)), 3)
                Image.fromarray(chance.integers(0, 256, size, dtype=np.uint8)).save(folder / f"{i}.png")


def make_results(folder: Path, tiny_project: Path, classes: list[str], images: int = 3) -> None:
    """Put into the current directory, `folder`, what the stages up to `plot` make of a model that knows nothing.

    What the classes do not matter to is the tiny project's.
    """
    for name in ("metrics", "plots", "data/derivations"):
        shutil.copytree(tiny_project / name, folder / name)
    shutil.copy(tiny_project / "params.yaml", folder)
    Workspace(folder).set(data__root="images", image__resize=40, image__crop=33, gallery__images=3)
    write_images(Path("images"), classes, images)
    prepare.main()
    write_random_model(sorted(classes))
    write_random_model(sorted(classes), path=BACKBONE)
    evaluate.main()
    gallery.main()
    plot.main()
