"""Say how good the fine-tuned model is on each split, and how sure that number is.

Reads models/finetuned.safetensors and data/prepared. The arithmetic is float32, whatever the training
used. The test split is read here alone, after everything is chosen, and nothing is chosen by it. Writes
metrics/evaluate.json, plots/predictions.csv (one row an image) and plots/per_class.csv.
"""

from pathlib import Path

import pandas as pd
import torch
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support
from torch import nn
from tqdm import tqdm

from plumbline import params
from plumbline.arithmetic import Arithmetic, choose_arithmetic, make_repeatable
from plumbline.batches import batches, to_input
from plumbline.errors import UserError, run
from plumbline.model_file import Model, Transform, read_model
from plumbline.outputs import write_csv, write_json
from plumbline.prepared import Split, read_classes, read_splits
from plumbline.timing import timed

MODEL = Path("models/finetuned.safetensors")
METRICS = Path("metrics/evaluate.json")
PREDICTIONS = Path("plots/predictions.csv")
PER_CLASS = Path("plots/per_class.csv")


def refuse_other_data(model: Model, classes: list[str], splits: dict[str, Split]) -> None:
    """Refuse a model that was trained on other classes, or on images of another size."""
    if model.classes != classes:
        raise UserError(
            f"{MODEL} knows the classes {', '.join(model.classes)}, data/prepared has {', '.join(classes)}: "
            "run `dvc repro`, which trains on the data that is there"
        )
    resize = next(iter(splits.values())).images.shape[1]
    if model.transform.resize != resize:
        raise UserError(
            f"{MODEL} was trained on images of {model.transform.resize} pixels, data/prepared has {resize}: "
            "run `dvc repro`"
        )


def predict(network: nn.Module, split: Split, transform: Transform, arithmetic: Arithmetic) -> torch.Tensor:
    """Return the logarithms of the class probabilities, float64 (N, classes), in the split's order."""
    network.eval()
    logits = []
    order = torch.arange(len(split.labels))
    with torch.inference_mode():
        for images, _ in batches(split.images, split.labels, order, arithmetic.evaluation_batch):
            inputs = to_input(images.to(arithmetic.device), transform)
            logits.append(network(inputs.contiguous(memory_format=arithmetic.layout(training=False))).double().cpu())
    return torch.cat(logits).log_softmax(dim=1)


def predictions_table(name: str, split: Split, log_probabilities: torch.Tensor, classes: list[str]) -> pd.DataFrame:
    """Return one row an image; `probability` is that of the predicted class."""
    best, predicted = log_probabilities.max(dim=1)
    return pd.DataFrame(
        {
            "split": name,
            "path": split.paths,
            "actual": [classes[label] for label in split.labels.tolist()],
            "predicted": [classes[label] for label in predicted.tolist()],
            "probability": best.exp().tolist(),
            "correct": (predicted == split.labels).int().tolist(),
        }
    )


def split_metrics(rows: pd.DataFrame, loss: float, confidence: float) -> dict[str, int | float]:
    """Return a split's accuracy in [0, 1] with its interval, its mean loss in nats, and its size.

    The interval is Wilson's (1927, "Probable inference, the law of succession, and statistical inference").
    """
    correct, images = int(rows["correct"].sum()), len(rows)
    interval = binomtest(correct, images).proportion_ci(confidence, method="wilson")
    return {
        "accuracy": correct / images,
        "accuracy_low": float(interval.low),
        "accuracy_high": float(interval.high),
        "loss": loss,
        "images": images,
    }


def report(name: str, own: dict[str, int | float], confidence: float) -> None:
    """Print a split's accuracy with its interval and size."""
    interval = f"[{own['accuracy_low']:.3f}, {own['accuracy_high']:.3f}]"
    tqdm.write(
        f"{name:5}  accuracy {own['accuracy']:.3f}, {confidence:.0%} interval {interval}, {own['images']} images"
    )


def per_class_table(name: str, rows: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Return precision, recall and F1 in [0, 1] of every class; 0 where a class was never met or predicted."""
    precision, recall, f1, images = precision_recall_fscore_support(
        rows["actual"], rows["predicted"], labels=classes, zero_division=0
    )
    return pd.DataFrame(
        {"split": name, "class": classes, "images": images, "precision": precision, "recall": recall, "f1": f1}
    )


def main() -> None:
    settings = params.load()
    model, classes, splits = read_model(MODEL), read_classes(), read_splits()
    refuse_other_data(model, classes, splits)
    make_repeatable(seed=0)  # nothing here is random
    arithmetic = choose_arithmetic("float32")
    network = arithmetic.place(model.network())
    metrics, predictions, per_class = {}, [], []
    with timed("evaluate", sum(len(split.labels) for split in splits.values())):
        for name, split in tqdm(splits.items(), "evaluating", unit="split", disable=None):
            log_probabilities = predict(network, split, model.transform, arithmetic)
            loss = nn.functional.nll_loss(log_probabilities, split.labels).item()
            rows = predictions_table(name, split, log_probabilities, classes)
            own = split_metrics(rows, loss, settings.evaluate.confidence)
            metrics |= {f"{name}_{key}": value for key, value in own.items()}
            report(name, own, settings.evaluate.confidence)
            predictions.append(rows)
            per_class.append(per_class_table(name, rows, classes))
    write_csv(PREDICTIONS, pd.concat(predictions))
    write_csv(PER_CLASS, pd.concat(per_class))
    write_json(METRICS, metrics)


if __name__ == "__main__":
    run(main)
