"""The run itself: the data, the training, the result and how sure it is."""

import pandas as pd

from plumbline.results.measures_file import Measure
from stages.report.figures import Figure, figure
from stages.report.numbers import interval, percent, shown
from stages.report.results import Results
from stages.report.tables import Table, table

MEASURES = {
    "accuracy": "accuracy",
    "top5_accuracy": "right among the 5 likeliest",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "loss": "log loss (nats)",
    "calibrated_loss": "log loss after the temperature",
    "brier": "Brier score",
    "calibrated_brier": "Brier score after the temperature",
    "calibration_error": "calibration error",
    "calibrated_calibration_error": "calibration error after the temperature",
    "calibration_error_if_true": "the same, of a model whose probabilities are true",
    "probe_accuracy": "accuracy of a linear probe",
    "majority_accuracy": "accuracy of the commonest class",
    "at_threshold_accuracy": "accuracy at the threshold",
}


def judged_on(results: Results) -> str:
    """Return the split that the result is told on: test, or val where there is none."""
    return results.splits[-1]


def headline(results: Results) -> str:
    """Return the result in a sentence."""
    split, own = judged_on(results), results.measures
    accuracy = own[split, "accuracy"]
    optimistic = "" if split == "test" else " There is no test split: this is optimistic."
    return (
        f"Of {accuracy.images:,} {split} images the model gets {percent(accuracy.value)} right "
        f"(interval {interval(accuracy.low, accuracy.high)}); naming the commonest class gets "
        f"{percent(own[split, 'majority_accuracy'].value)}, a linear "
        f"probe on the network before fine-tuning {percent(own[split, 'probe_accuracy'].value)}.{optimistic}"
    )


def images_table(results: Results) -> Table:
    """Return how many images each class has in each split."""
    counts = pd.crosstab(results.manifest["class"], results.manifest["split"])
    counts = counts.reindex(index=results.classes, columns=results.splits, fill_value=0)
    return table("Images", ["class", *results.splits], [[name, *map(int, row)] for name, row in counts.iterrows()])


def quarantine_table(results: Results) -> Table:
    """Return the files that were not used, and why."""
    rows = results.quarantine[["path", "reason", "detail"]].to_numpy().tolist()
    return table("Files that were not used", ["file", "reason", "detail"], rows)


def data_figure(results: Results) -> Figure:
    """Return the audit of the data."""
    used, unused = len(results.manifest), len(results.quarantine)
    sizes = results.images.groupby(["width", "height"]).size()
    width, height = sizes.idxmax()
    noted = results.metrics["prepare"]["noted"]
    return figure(
        "data",
        "The audit of the data: images by class and split, their sizes, what was not used, what was noted.",
        f"Four panels: {used:,} images of {len(results.classes)} classes; most often {width} x {height} pixels "
        f"({sizes.max():,} images); {unused:,} files were not used; {noted:,} images noted.",
        wide=True,
    )


def training_figures(results: Results) -> list[Figure]:
    """Return the curves."""
    history = results.history
    first, last = history.iloc[0], history.iloc[-1]
    epochs = f"{len(history)} epoch{'s' if len(history) > 1 else ''}"

    def way(quantity: str) -> str:
        parts = [f"{s} from {first[f'{s}_{quantity}']:.3f} to {last[f'{s}_{quantity}']:.3f}" for s in ("train", "val")]
        return f"Line chart of the {quantity} over {epochs}: {', '.join(parts)}."

    rates = history["learning_rate"]
    return [
        figure("loss", "Cross-entropy of both phases.", way("loss")),
        figure("accuracy", "Accuracy of both phases.", way("accuracy")),
        figure(
            "learning_rate",
            "The learning rate.",
            f"Line chart of the learning rate over {epochs}: it starts at {rates.iloc[0]:.3g}, is at most "
            f"{rates.max():.3g} and ends at {rates.iloc[-1]:.3g}.",
        ),
    ]


def measures_table(results: Results) -> Table:
    """Return every measure on every split, with its interval."""
    own, rows = results.measures, []
    for name, words in MEASURES.items():
        if any((split, name) in own for split in results.splits):
            rows.append([words, *(with_interval(own.get((split, name))) for split in results.splits)])
    columns = ["", *(f"{split}, {own[split, 'accuracy'].images:,} images" for split in results.splits)]
    return table("Measures, with their intervals", columns, rows, measures=True)


def with_interval(measure: Measure | None) -> str:
    """Return a measure with its interval, or a dash."""
    if measure is None:
        return shown(None)
    if measure.low is None:
        return f"{measure.value:.3f}"
    return f"{measure.value:.3f} [{measure.low:.3f}, {measure.high:.3f}]"


def result_figures(results: Results) -> list[Figure]:
    """Return how good the model is, and how sure that is."""
    split, own = judged_on(results), results.measures
    rows = results.predictions[results.predictions["split"] == split]
    right = int(rows["correct"].sum())
    worst = results.per_class[results.per_class["split"] == split].sort_values("f1", kind="stable").iloc[0]
    auroc, precision = (with_interval(own.get((split, name))) for name in ("auroc", "average_precision"))
    errors = [own[split, name].value for name in ("calibration_error", "calibrated_calibration_error")]
    model, probe, commonest = (
        percent(own[split, name].value) for name in ("accuracy", "probe_accuracy", "majority_accuracy")
    )
    sure = interval(own[split, "accuracy"].low, own[split, "accuracy"].high)
    return [
        figure(
            "baselines",
            "The accuracy with its interval, beside what a model has to beat.",
            f"Accuracies with intervals. {split}: this model {model} ({sure}), linear probe {probe}, commonest class "
            f"{commonest}.",
        ),
        figure(
            "confusion",
            "Which class was taken for which.",
            f"Confusion matrices. {split}: {right:,} of {len(rows):,} right; the lowest F1 is that of "
            f"{worst['class']}, {worst['f1']:.3f}.",
            wide=True,
        ),
        figure(
            "trade_offs",
            "What a threshold chooses from.",
            f"ROC and precision against recall. {split}: AUROC {auroc}, average precision {precision}.",
            wide=True,
        ),
        figure(
            "reliability",
            "Are the probabilities true? On the diagonal they are.",
            f"Reliability before and after the temperature, {own['val', 'temperature'].value:.3g}. "
            f"{split}: calibration error {errors[0]:.3f} before, {errors[1]:.3f} after.",
            wide=True,
        ),
    ]
