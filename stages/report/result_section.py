"""The result: the accuracy with its interval, every other measure, the training that led to it."""

from plumbline.params.all import AllParams
from plumbline.params.finetune import Finetune
from plumbline.presentation.percent import percent
from plumbline.results.measures_file import Measure
from plumbline.results.training_history import begins_with_probe, rows_of_epochs
from stages.report.figures_and_tables import Figure, Table, counted, figure, interval, shown, table
from stages.report.stage_results import Results

MEASURES = {
    "accuracy": "accuracy",
    "accuracy_without_copies": "accuracy without images that an earlier split has copies of",
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
    "calibrated_calibration_error_if_true": "the same, after temperature scaling",
    "probe_accuracy": "baseline: accuracy of a linear probe",
    "majority_accuracy": "baseline: accuracy of the most frequent class",
    "shortcut_brightness_accuracy": "shortcut: accuracy by the brightness alone",
    "shortcut_size_accuracy": "shortcut: accuracy by the image's size alone",
    "shortcut_format_accuracy": "shortcut: accuracy by the file's format alone",
    "shortcut_name_accuracy": "shortcut: accuracy by the file's name alone",
    "shortcut_date_accuracy": "shortcut: accuracy by the date of the photograph alone",
    "at_threshold_accuracy": "accuracy at the chosen threshold",
    "at_threshold_abstained": "share of images left out at it",
}

MEANINGS = {  # of the names above
    "balanced_accuracy": "the mean over the classes of the share of a class's images that are classified correctly",
    "macro_f1": "the mean over the classes of F1, the harmonic mean of precision and recall",
    "auroc": (
        "the area under the ROC curve: the probability that an image of a class scores higher for it than an image of "
        "another class; 0.5 by chance"
    ),
    "average_precision": "the mean precision over all recalls: the area under the curve of precision over recall",
    "loss": "the mean over the images of minus the logarithm of the true class's probability; lower is better",
    "brier": (
        "the mean squared difference between a predicted probability and 1 for the true class, 0 for another; summed "
        "over the classes if there are more than two; lower is better"
    ),
    "calibration_error": (
        "the mean difference between the predicted probability and the share that is correct, over images with "
        "similar probabilities; lower is better"
    ),
    "calibration_error_if_true": "the calibration error that a calibrated model has by chance on so few images",
    "calibrated_loss": "the measure with logits divided by one number, the temperature, which is fitted on val",
    "probe_accuracy": "the accuracy of a logistic regression on the features of the network before fine-tuning",
    "at_threshold_accuracy": (
        "the accuracy if the positive class is predicted where its probability is at least the threshold, which was "
        "chosen on val"
    ),
}

UNSCALED = "Temperature scaling, fitted on val, leaves the probabilities as they are: its temperature is 1."
WEAKEST = 5  # parts of the images in the table


def final_split(results: Results) -> str:
    """Return the split that the result is stated on: test, or val where there is no test split."""
    return results.splits[-1]


def right_and_all(results: Results) -> tuple[int, int]:
    """Return how many images of the final split are classified correctly, and how many there are."""
    rows = results.predictions[results.predictions["split"] == final_split(results)]
    return int(rows["correct"].sum()), len(rows)


def headline(results: Results, confidence: float) -> str:
    """Return the accuracy in a sentence, with its interval and as k of n."""
    split = final_split(results)
    accuracy = results.measures[split, "accuracy"]
    right, images = right_and_all(results)
    return (
        f"{right:,} of {images:,} {split} images are classified correctly: accuracy "
        f"{percent(accuracy.value)}, {100 * confidence:g}% interval {interval(accuracy.low, accuracy.high)}."
    )


def baselines_sentence(results: Results) -> str:
    """Return what the accuracy has to be compared with."""
    split, measures = final_split(results), results.measures
    optimistic = "" if split == "test" else " There is no test split: the accuracy on val is optimistic."
    return (
        f"On the same images, always predicting the most frequent class reaches "
        f"{percent(measures[split, 'majority_accuracy'].value)}, and a linear probe on the network before fine-tuning "
        f"{percent(measures[split, 'probe_accuracy'].value)}.{optimistic}{copies_sentence(results)}"
    )


def copies_sentence(results: Results) -> str:
    """Return how many images of the final split have a copy in an earlier one, and the accuracy without them."""
    split, measures = final_split(results), results.measures
    apart = measures.get((split, "accuracy_without_copies"))
    if apart is None:
        return ""
    copies = measures[split, "accuracy"].images - apart.images
    return (
        f" Of these images {copies:,} {'is a copy' if copies == 1 else 'are copies'} of one in an earlier split or "
        f"nearly so, or of its group: without them the accuracy is {percent(apart.value)}, interval "
        f"{interval(apart.low, apart.high)}."
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
    measures, rows = results.measures, []
    for name, words in MEASURES.items():
        if name.startswith("calibrated_") and unscaled(results):
            continue
        if any((split, name) in measures for split in results.splits):
            rows.append([words, *(with_interval(measures.get((split, name))) for split in results.splits)])
    columns = ["", *(f"{split}, {measures[split, 'accuracy'].images:,} images" for split in results.splits)]
    return table("Measures, with their intervals", columns, rows, measures=True)


def meanings(results: Results) -> dict[str, str]:
    """Return what the measures of the table mean that their names do not say."""
    rows = {row[0] for row in measures_table(results).rows}
    return {MEASURES[name]: meaning for name, meaning in MEANINGS.items() if MEASURES[name] in rows}


def unscaled(results: Results) -> bool:
    """Whether temperature scaling left the probabilities as they are, and with them every measure."""
    return results.measures["val", "temperature"].value == 1


def slices_table(results: Results) -> Table:
    """Return the parts of the final split with the lowest accuracy."""
    split = final_split(results)
    weakest = results.slices[results.slices["split"] == split].head(WEAKEST)
    rows = [
        [
            f"{row.slice}, {int(row.images):,} images",
            with_interval(Measure(row.accuracy, int(row.images), row.low, row.high)),
            f"{row.others_accuracy:.3f}",
            f"{row.holm_p:.2g}",
        ]
        for row in weakest.itertuples()
    ]
    columns = ["", "accuracy", "on the others", "p after Holm"]
    return table(f"Where the accuracy on {split} is lowest", columns, rows, measures=True)


def with_interval(measure: Measure | None) -> str:
    """Return a measure with its interval, or a dash."""
    if measure is None:
        return shown(None)
    if measure.low is None:
        return f"{measure.value:.3f}"
    return f"{measure.value:.3f} [{measure.low:.3f}, {measure.high:.3f}]"


def accuracy_figures(results: Results) -> list[Figure]:
    """Return the figures of the accuracy with its baselines, and of the confusion matrices."""
    split, measures = final_split(results), results.measures
    right, images = right_and_all(results)
    worst = results.per_class[results.per_class["split"] == split].sort_values("f1", kind="stable").iloc[0]
    model, probe, majority = (
        percent(measures[split, name].value) for name in ("accuracy", "probe_accuracy", "majority_accuracy")
    )
    bounds = interval(measures[split, "accuracy"].low, measures[split, "accuracy"].high)
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


def probability_figures(results: Results) -> list[Figure | str]:
    """Return the figures of what can be done with the probabilities: thresholds, and calibration.

    What would show nothing is a sentence.
    """
    split, measures = final_split(results), results.measures
    auroc, precision = (with_interval(measures.get((split, name))) for name in ("auroc", "average_precision"))
    before, after = (measures[split, name].value for name in ("calibration_error", "calibrated_calibration_error"))
    if all(measures[each, "auroc"].value == 1 for each in results.splits[1:] if (each, "auroc") in measures):
        trade_offs = "ROC, and precision against recall, are without a fault: a threshold parts the classes."
    else:
        trade_offs = figure(
            "trade_offs",
            "ROC, and precision against recall: each point is one threshold on the probability.",
            f"ROC and precision against recall. {split}: AUROC {auroc}, average precision {precision}.",
            wide=True,
        )
    return [
        trade_offs,
        figure(
            "reliability",
            "Calibration: the share that is correct over the predicted probability. A calibrated model is on the "
            f"diagonal.{' ' + UNSCALED if unscaled(results) else ''}",
            f"Reliability before and after scaling, temperature {measures['val', 'temperature'].value:.3g}. "
            f"{split}: calibration error {before:.3f} before, {after:.3f} after.",
            wide=True,
        ),
    ]


def training_sentences(results: Results, settings: AllParams) -> str:
    """Return, after the network's name, the head with which training began, the recipe, and which weights are kept."""
    recipe, trained, classes = settings.finetune, results.metrics["finetune"], len(results.classes)
    crop = settings.image.crop
    images = f"images of {'the size that the weights were trained with' if crop == 'pretrained' else f'{crop} pixels'}"
    precision = f"{trained['precision_bits']}-bit arithmetic"  # of the weights that are kept
    probe = f"with a logistic regression on its features as the head for {classes} classes"
    if trained["epochs"] == 0:
        return f"{probe}, fitted on {images} in {precision}. All other weights are unchanged."
    start = f"{probe}, then fine-tuned" if recipe.head == "probe" else f"with a new head for {classes} classes"
    how = (
        f"Optimiser {recipe.optimiser}, learning rate {recipe.lr}, momentum {recipe.momentum}, batch size "
        f"{recipe.batch_size}, {images}"
    )
    epochs = counted(trained["epochs"], "epoch")
    if trained["kept_epoch"] < 0:
        return (
            f"{start}. {how}, {epochs}. The weights before the first epoch are kept, with the logistic regression as "
            f"the head, which was fitted in {precision}."
        )
    return (
        f"{start}. {how}, {precision}, {epochs}. The weights after epoch {trained['kept_epoch']}, counted from 0, are "
        "kept."
    )


def training_figures(results: Results, settings: AllParams) -> list[Figure | str]:
    """Return the figures of loss, accuracy and learning rate over the epochs; a rate without a course is a sentence."""
    epochs = counted(len(rows_of_epochs(results.history)), "epoch")
    probe = " Epoch -1 is the network with the probe's head." if begins_with_probe(results.history) else ""
    over_epochs = [
        figure(
            quantity,
            f"{quantity.capitalize()} of the train and val phase of each epoch.{probe}",
            f"Line chart of the {quantity} over {epochs}: {first_and_last(results, quantity)}.",
        )
        for quantity in ("loss", "accuracy")
    ]
    return [*over_epochs, learning_rate_figure(results, settings.finetune)]


def learning_rate_figure(results: Results, recipe: Finetune) -> Figure | str:
    """Return the figure of the learning rate, of which the history has that of each epoch's last update."""
    rates = rows_of_epochs(results.history)["learning_rate"]
    if rates.empty:
        return "No epoch was trained: only the head was fitted."
    if has_one_rate(recipe):
        return f"The learning rate is {rates.iloc[0]:.3g} in every update."
    if len(rates) == 1:
        return f"At the last update of the only epoch the learning rate is {rates.iloc[0]:.3g}."
    return figure(
        "learning_rate",
        "The learning rate at each epoch's last update.",
        f"Line chart of the learning rate at the last update of each of {len(rates)} epochs: {rates.iloc[0]:.3g} in "
        f"the first epoch, {rates.iloc[-1]:.3g} in the last; the highest of them is {rates.max():.3g}.",
    )


def has_one_rate(recipe: Finetune) -> bool:
    """Whether every update has the same learning rate; else `lr` is the highest."""
    return recipe.schedule == "constant" and not recipe.warmup_epochs


def first_and_last(results: Results, quantity: str) -> str:
    """Return a quantity of both phases in the first and in the last row of the history."""
    first, last = results.history.iloc[0], results.history.iloc[-1]
    return " and ".join(
        f"from {first[f'{split}_{quantity}']:.3f} to {last[f'{split}_{quantity}']:.3f} ({split})"
        for split in ("train", "val")
    )
