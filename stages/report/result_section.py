"""The result: the accuracy with its interval, every other measure, the training that led to it; and its summary."""

from plumbline.presentation.percent import percent
from stages.report.figures_and_tables import Figure, Table, counted, figure, interval, shown, table
from stages.report.stage_results import Results

MEASURES = {
    "accuracy": "accuracy",
    "top5_accuracy": "top-5 accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "loss": "log loss (nats)",
    "calibrated_loss": "log loss after temperature scaling",
    "brier": "Brier score",
    "calibrated_brier": "Brier score after temperature scaling",
    "calibration_error": "calibration error",
    "calibrated_calibration_error": "calibration error after temperature scaling",
    "calibration_error_if_true": "calibration error expected of a calibrated model",
    "probe_accuracy": "baseline: accuracy of a linear probe",
    "majority_accuracy": "baseline: accuracy of the most frequent class",
    "at_threshold_accuracy": "accuracy at the chosen threshold",
}


def final_split(results: Results) -> str:
    """Return the split that the result is stated on: test, or val where there is no test split."""
    return results.splits[-1]


def right_and_all(results: Results) -> tuple[int, int]:
    """Return how many images of the final split are classified correctly, and how many there are."""
    rows = results.predictions[results.predictions["split"] == final_split(results)]
    return int(rows["correct"].sum()), len(rows)


def headline(results: Results, confidence: float) -> str:
    """Return the accuracy in a sentence, with its interval and as k of n."""
    split, measures = final_split(results), results.metrics["evaluate"]
    right, images = right_and_all(results)
    bounds = interval(measures[f"{split}_accuracy_low"], measures[f"{split}_accuracy_high"])
    return (
        f"{right:,} of {images:,} {split} images are classified correctly: accuracy "
        f"{percent(measures[f'{split}_accuracy'])}, {100 * confidence:g}% interval {bounds}."
    )


def baselines_sentence(results: Results) -> str:
    """Return what the accuracy has to be compared with."""
    split, measures = final_split(results), results.metrics["evaluate"]
    optimistic = "" if split == "test" else " There is no test split: the accuracy on val is optimistic."
    return (
        f"On the same images, always predicting the most frequent class reaches "
        f"{percent(measures[f'{split}_majority_accuracy'])}, and a linear probe on the network before fine-tuning "
        f"{percent(measures[f'{split}_probe_accuracy'])}.{optimistic}"
    )


def mistakes_sentence(results: Results) -> str:
    """Return how many images are misclassified, and how many labels look wrong."""
    right, images = right_and_all(results)
    wrong, doubts = images - right, len(results.label_doubts)
    return (
        f"{wrong:,} of {images:,} {final_split(results)} images {'is' if wrong == 1 else 'are'} misclassified; "
        f"{counted(doubts, 'label')} over all splits may be wrong"
    )


def measures_table(results: Results) -> Table:
    """Return every measure on every split, with its interval."""
    measures, rows = results.metrics["evaluate"], []
    for name, words in MEASURES.items():
        if any(f"{split}_{name}" in measures for split in results.splits):
            rows.append([words, *(measure(measures, f"{split}_{name}") for split in results.splits)])
    columns = ["", *(f"{split}, {measures[f'{split}_images']:,} images" for split in results.splits)]
    return table("Measures, with their intervals", columns, rows, measures=True)


def measure(metrics: dict[str, float], name: str) -> str:
    """Return a measure with its interval, or a dash."""
    if name not in metrics:
        return shown(None)
    if f"{name}_low" not in metrics:
        return f"{metrics[name]:.3f}"
    return f"{metrics[name]:.3f} [{metrics[f'{name}_low']:.3f}, {metrics[f'{name}_high']:.3f}]"


def accuracy_figures(results: Results) -> list[Figure]:
    """Return the figures of the accuracy with its baselines, and of the confusion matrices."""
    split, measures = final_split(results), results.metrics["evaluate"]
    right, images = right_and_all(results)
    worst = results.per_class[results.per_class["split"] == split].sort_values("f1", kind="stable").iloc[0]
    model, probe, majority = (
        percent(measures[f"{split}_{name}"]) for name in ("accuracy", "probe_accuracy", "majority_accuracy")
    )
    bounds = interval(measures[f"{split}_accuracy_low"], measures[f"{split}_accuracy_high"])
    return [
        figure(
            "baselines",
            "The accuracy with its interval, and the same for two baselines.",
            f"Accuracies with intervals. {split}: this model {model} ({bounds}), linear probe {probe}, most frequent "
            f"class {majority}.",
        ),
        figure(
            "confusion",
            "Confusion matrices: how many images of each class were predicted as each class.",
            f"Confusion matrices. {split}: {right:,} of {images:,} correct; the lowest F1 is that of "
            f"{worst['class']}, {worst['f1']:.3f}.",
            wide=True,
        ),
    ]


def probability_figures(results: Results) -> list[Figure]:
    """Return the figures of what can be done with the probabilities: thresholds, and calibration."""
    split, measures = final_split(results), results.metrics["evaluate"]
    auroc, precision = (measure(measures, f"{split}_{name}") for name in ("auroc", "average_precision"))
    before, after = (measures[f"{split}_{name}"] for name in ("calibration_error", "calibrated_calibration_error"))
    return [
        figure(
            "trade_offs",
            "ROC, and precision against recall: each point is one threshold on the probability.",
            f"ROC and precision against recall. {split}: AUROC {auroc}, average precision {precision}.",
            wide=True,
        ),
        figure(
            "reliability",
            "Calibration: the share that is correct over the predicted probability. A calibrated model is on the "
            "diagonal.",
            f"Reliability before and after temperature scaling, temperature {measures['temperature']:.3g}. {split}: "
            f"calibration error {before:.3f} before, {after:.3f} after.",
            wide=True,
        ),
    ]


def training_figures(results: Results) -> list[Figure]:
    """Return the figures of loss, accuracy and learning rate over the epochs."""
    history = results.history
    epochs, rates = counted(len(history), "epoch"), history["learning_rate"]
    return [
        figure(
            quantity,
            f"{quantity.capitalize()} of the train and val phase of each epoch.",
            f"Line chart of the {quantity} over {epochs}: {first_and_last(results, quantity)}.",
        )
        for quantity in ("loss", "accuracy")
    ] + [
        figure(
            "learning_rate",
            "The learning rate of each epoch.",
            f"Line chart of the learning rate over {epochs}: it starts at {rates.iloc[0]:.3g}, is at most "
            f"{rates.max():.3g} and ends at {rates.iloc[-1]:.3g}.",
        )
    ]


def first_and_last(results: Results, quantity: str) -> str:
    """Return a quantity of both phases in the first and in the last epoch."""
    first, last = results.history.iloc[0], results.history.iloc[-1]
    return " and ".join(
        f"from {first[f'{split}_{quantity}']:.3f} to {last[f'{split}_{quantity}']:.3f} ({split})"
        for split in ("train", "val")
    )


def summary(results: Results) -> dict[str, int | float]:
    """Return what metrics/summary.json holds, which fits 100 columns of `dvc metrics show` and `dvc exp show`.

    The accuracy with its interval and the log loss on the final split; and val's accuracy, to choose by.
    """
    split, measures = final_split(results), results.metrics["evaluate"]
    found: dict[str, int | float] = {
        f"{split}_accuracy": measures[f"{split}_accuracy"],
        f"{split}_low": measures[f"{split}_accuracy_low"],
        f"{split}_high": measures[f"{split}_accuracy_high"],
        f"{split}_loss": measures[f"{split}_loss"],
    }
    if split != "val":
        found["val_accuracy"] = measures["val_accuracy"]
    return found
