"""Images that belong together: copies, near copies, and one group's. They say less than as many independent images.

Within a split the intervals allow for them. An image of val or test that has a copy in train, or one of its group,
tells little of new images: the accuracy without these stands beside that of all.
"""

import numpy as np

from plumbline.results.intervals import independent_images, share_of_images
from plumbline.results.measures_file import Measures
from stages.evaluate.predictions import Predictions, SplitPredictions

Clusters = dict[str, np.ndarray | None]  # by split, a number for each image (N,); None if each image is its own

NAME = "accuracy_without_copies"


def accuracy_without_copies(
    predictions: dict[str, SplitPredictions], numbers: dict[str, np.ndarray], confidence: float
) -> Measures:
    """Return the accuracy on the val and test images that are in no cluster with an image of an earlier split.

    For the splits that have both kinds. `numbers` has by split the cluster of each image (N,).
    """
    measures: Measures = {}
    earlier = numbers["train"]
    for split, (plain, _) in predictions.items():
        if split == "train":
            continue
        apart = ~np.isin(numbers[split], earlier)
        earlier = np.concatenate([earlier, numbers[split]])
        if apart.any() and not apart.all():
            clusters = None if plain.clusters is None else plain.clusters[apart]
            measures[split, NAME] = share_of_images(plain.right[apart], clusters, confidence)
    return measures


def print_clusters(predictions: dict[str, Predictions], measures: Measures, confidence: float) -> None:
    """Say of val and test which images belong together, or with images of an earlier split, and what that means."""
    for split, of_split in predictions.items():
        if split != "train" and of_split.clusters is not None:
            independent = independent_images(of_split.right.astype(float), of_split.clusters, confidence)
            print(
                f"{split}: the {len(of_split.labels)} images are {len(np.unique(of_split.clusters))} independent "
                f"groups, copies or images, and count as {independent:.0f} images: the intervals allow for it"
            )
        if (split, NAME) in measures:
            apart, images = measures[split, NAME], len(of_split.labels)
            print(
                f"{split}: {images - apart.images} of {images} images are copies of one in an earlier split or nearly "
                f"so, or of its group; the accuracy on the others is {apart.value:.3f}, {confidence:.0%} "
                f"interval [{apart.low:.3f}, {apart.high:.3f}]"
            )
