"""The rows of the CSV files: one an image, and one a class."""

import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from plumbline.training.splits import Split
from stages.evaluate.predictions import Predictions


def predictions_table(name: str, split: Split, predictions: Predictions, classes: list[str]) -> pd.DataFrame:
    """Return one row an image; `probability` is that of the predicted class, `loss` is in nats."""
    predicted = predictions.predicted
    return pd.DataFrame(
        {
            "split": name,
            "path": split.paths,
            "actual": [classes[label] for label in predictions.labels],
            "predicted": [classes[label] for label in predicted],
            "probability": predictions.probabilities.max(axis=1),
            "correct": (predicted == predictions.labels).astype(int),
            "loss": predictions.losses,
            "squared_error": predictions.squared_errors,
            "sha256": split.sha256,
        }
    )


def per_class_table(name: str, predictions: Predictions, classes: list[str]) -> pd.DataFrame:
    """Return precision, recall and F1 in [0, 1] of every class; 0 where a class was never met or predicted."""
    precision, recall, f1, images = precision_recall_fscore_support(
        predictions.labels, predictions.predicted, labels=range(len(classes)), zero_division=0
    )
    return pd.DataFrame(
        {"split": name, "class": classes, "images": images, "precision": precision, "recall": recall, "f1": f1}
    )


def stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of tables with the same columns, of which some may be empty."""
    return pd.concat([table for table in tables if len(table)] or tables[:1])
