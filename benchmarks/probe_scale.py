"""How the linear probe depends on the least scale by which it divides a feature, on some and on all training images.

    python -m benchmarks.probe_scale

Reads what `params`, `prepare` and `weights` have written. Draws training images anew, as many of each class, and prints
for each floor of the scale, in medians of the features' deviations, the accuracy and the log loss on val, their means
and the largest loss over the draws, and the largest weight of the head.
"""

import numpy as np
from sklearn.metrics import log_loss

from plumbline.model.model_file import read_model
from plumbline.run.paths import BACKBONE
from plumbline.training import linear_probe
from plumbline.training.device_and_precision import choose_compute
from plumbline.training.inference import features_of
from plumbline.training.linear_probe import fitted_probe, linear_layer_of
from plumbline.training.splits import read_splits

FLOORS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
OF_CLASS, DRAWS = (10, 27, 60), 30  # training images of each class


def main() -> None:
    model, splits, compute = read_model(BACKBONE), read_splits(), choose_compute("float32")
    network = compute.place(model.network())
    features = {
        name: features_of(network, model.architecture, split.images, model.transform, compute).numpy()
        for name, split in splits.items()
    }
    labels = {name: split.labels.numpy() for name, split in splits.items()}

    def measured(images: np.ndarray) -> tuple[float, float, float]:
        probe = fitted_probe(features["train"][images], labels["train"][images])
        probabilities = probe.predict_proba(features["val"])
        accuracy = (probabilities.argmax(axis=1) == labels["val"]).mean()
        return accuracy, log_loss(labels["val"], probabilities), np.abs(linear_layer_of(probe)[0]).max()

    print("| least scale | training images | accuracy | log loss | its largest | largest weight |")
    print("| --- | --- | --- | --- | --- | --- |")
    for floor in FLOORS:
        linear_probe.LEAST_SCALE = floor
        for number in OF_CLASS:
            chance = np.random.default_rng(0)
            found = np.array([measured(draw(labels["train"], number, chance)) for _ in range(DRAWS)])
            means, most = found.mean(axis=0), found.max(axis=0)
            images = number * len(np.unique(labels["train"]))
            print(f"| {floor} | {images} | {means[0]:.3f} | {means[1]:.3f} | {most[1]:.3f} | {most[2]:.1f} |")
        accuracy, loss, weight = measured(np.arange(len(labels["train"])))
        print(f"| {floor} | all, {len(labels['train'])} | {accuracy:.3f} | {loss:.3f} | | {weight:.1f} |", flush=True)


def draw(labels: np.ndarray, number: int, chance: np.random.Generator) -> np.ndarray:
    """Return the indices of so many images of each class."""
    return np.concatenate(
        [chance.choice(np.flatnonzero(labels == c), number, replace=False) for c in np.unique(labels)]
    )


if __name__ == "__main__":
    main()
