"""Choose the images on which the model is most wrong, least sure and most sure, and compute their saliency maps.

The images are those of the test split, or of val where there is no test split. Reads models/finetuned.safetensors,
data/prepared and plots/predictions.csv. Writes data/gallery: gallery.csv, and for each of its rows the image as the
network sees it and its saliency map, as JPEG files.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from plumbline.model.description import Transform
from plumbline.model.model_file import read_model
from plumbline.params.gallery import Gallery
from plumbline.results.predictions_file import PREDICTIONS, read_predictions
from plumbline.results.tables import damaged
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.fields import Seed, SomeSections
from plumbline.run.outputs import whole_folder, write_csv
from plumbline.run.paths import FINETUNED, GALLERY
from plumbline.run.timing import timed
from plumbline.training.device_and_precision import choose_compute, make_repeatable, nondeterministic_operations
from plumbline.training.network_input import to_input
from plumbline.training.splits import Split, read_splits
from stages.gallery.chosen_images import chosen
from stages.gallery.saliency import method_of, overlay, saliency

TABLE = "gallery.csv"
COLUMNS = ["row", "split", "path", "actual", "predicted", "probability", "method", "image", "saliency"]
LARGEST = 224  # pixels along a side
QUALITY = 90  # of JPEG


class Params(SomeSections):
    seed: Seed
    gallery: Gallery


def pixels_of(inputs: torch.Tensor, transform: Transform) -> torch.Tensor:
    """Return the pixels, uint8 (B, crop, crop, 3), that became these inputs (B, 3, crop, crop)."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (transform.mean, transform.std))
    return ((inputs * std + mean) * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1)


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Write an image, uint8 (H, W, 3), scaled down to at most `LARGEST` pixels a side."""
    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST, LARGEST))
    image.save(path, quality=QUALITY)


def refuse_other_predictions(predictions: pd.DataFrame, classes: list[str], splits: dict[str, Split]) -> None:
    """Raise UserError for predictions of a class or an image that the model or the data do not have."""
    known, known_classes = {(name, path) for name, split in splits.items() for path in split.paths}, set(classes)
    for row in predictions.itertuples():
        if row.predicted not in known_classes or (row.split, row.path) not in known:
            raise damaged(PREDICTIONS, f"has {row.path} of {row.split} as {row.predicted}, which is not in this run")
    if predictions.empty or not set(predictions["split"]) & {"val", "test"}:
        raise damaged(PREDICTIONS, "has no image of val or test")


def main() -> None:
    settings = params_file.load(Params)
    model, splits = read_model(FINETUNED), read_splits()
    make_repeatable(settings.seed, deterministic=model.is_repeatable)
    compute = choose_compute("float32")
    predictions = read_predictions()
    refuse_other_predictions(predictions, model.classes, splits)
    table = chosen(predictions, settings.gallery.images)
    with timed("gallery", len(table)), whole_folder(GALLERY) as folder, nondeterministic_operations([]):
        network = compute.place(model.network())
        blank = torch.zeros(1, 3, model.transform.crop, model.transform.crop, device=compute.device)
        method, names = method_of(network.eval(), blank), []
        for i, row in enumerate(table.itertuples()):
            split = splits[row.split]
            place = split.paths.index(row.path)
            inputs = to_input(split.images[place : place + 1], model.transform)
            label = torch.tensor([model.classes.index(row.predicted)], device=compute.device)
            heat = saliency(network, inputs.to(compute.device), label)[0].cpu().numpy()
            pixels = pixels_of(inputs, model.transform)[0].numpy()
            names.append((f"{i:03}.jpg", f"{i:03}_saliency.jpg"))
            for name, drawn in zip(names[-1], (pixels, overlay(pixels, heat)), strict=True):
                write_image(folder / name, drawn)
        images, saliencies = zip(*names, strict=True) if names else ((), ())
        table = table.assign(method=method, image=images, saliency=saliencies)
        write_csv(folder / TABLE, table[COLUMNS])
    print(f"{len(table)} images of {table['split'].iloc[0]}, by {method}: {GALLERY}")


if __name__ == "__main__":
    run(main, takes_memory="image.crop")
