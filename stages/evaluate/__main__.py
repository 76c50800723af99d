"""Say how good the fine-tuned model is on each split, how sure each number is, and what it is to be held against.

Reads models/finetuned.safetensors, models/backbone.safetensors for the linear probe, data/prepared, plots/history.csv,
and metrics/curvature.json, to which the learning rate is held. The arithmetic is float32, whatever the training used.
The test split is read here alone, after everything is chosen, and nothing is chosen by it. Writes metrics/evaluate.json
and tables under plots/: predictions.csv (one row an image), per_class.csv, reliability.csv, roc.csv,
precision_recall.csv and label_doubts.csv.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from plumbline.data.prepared import read_classes
from plumbline.model.description import Transform
from plumbline.model.model_file import Model, read_model
from plumbline.params.evaluate import Evaluate
from plumbline.results.predictions_file import PREDICTIONS
from plumbline.run import params_file
from plumbline.run.errors import UserError, run
from plumbline.run.fields import Seed, SomeSections
from plumbline.run.outputs import write_csv, write_json
from plumbline.run.timing import timed
from plumbline.training.arithmetic import Arithmetic, choose_arithmetic, make_repeatable
from plumbline.training.inference import features_of, logits_of
from plumbline.training.same_data import refuse_other_data
from plumbline.training.splits import Split, read_splits
from stages.evaluate.baselines import commonest_class, linear_probe
from stages.evaluate.calibration import reliability_table
from stages.evaluate.choice_of_epoch import gain_by_choice
from stages.evaluate.curves import curve_tables
from stages.evaluate.intervals import share_with_interval
from stages.evaluate.label_doubts import COLUMNS, doubts, out_of_fold_probabilities
from stages.evaluate.metrics import split_metrics
from stages.evaluate.predictions import Predictions, predictions_of
from stages.evaluate.step_size import lr_metrics
from stages.evaluate.summary import line_of, print_few_mistakes
from stages.evaluate.tables import per_class_table, predictions_table, stacked
from stages.evaluate.threshold import choose_threshold, metrics_at

MODEL = Path("models/finetuned.safetensors")
BACKBONE = Path("models/backbone.safetensors")
HISTORY = Path("plots/history.csv")
CURVATURE = Path("metrics/curvature.json")
METRICS = Path("metrics/evaluate.json")
PER_CLASS = Path("plots/per_class.csv")
RELIABILITY = Path("plots/reliability.csv")
ROC = Path("plots/roc.csv")
PRECISION_RECALL = Path("plots/precision_recall.csv")
DOUBTS = Path("plots/label_doubts.csv")

Both = dict[str, tuple[Predictions, Predictions]]  # by split: before and after the temperature


class Params(SomeSections):
    seed: Seed
    evaluate: Evaluate


def positive_class(wish: str | None, classes: list[str]) -> int:
    """Return the positive one of two classes: the one that is named, or the second. Raises UserError for no class."""
    if wish is None:
        return len(classes) - 1
    if wish not in classes:
        raise UserError(f"evaluate.positive is {wish!r}, which is no class: choose one of {', '.join(classes)}")
    return classes.index(wish)


def predict(model: Model, splits: dict[str, Split], arithmetic: Arithmetic) -> Both:
    """Return what the model says of every split."""
    network, both = arithmetic.place(model.network()), {}
    for name, split in tqdm(splits.items(), "the model", unit="split", disable=None):
        logits = logits_of(network, split.images, model.transform, arithmetic)
        both[name] = tuple(predictions_of(logits, split.labels, t) for t in (1.0, model.temperature))
    return both


def backbone_features(splits: dict[str, Split], transform: Transform, arithmetic: Arithmetic) -> dict[str, np.ndarray]:
    """Return what the network computed of every split's images before it was fine-tuned, (N, features)."""
    backbone = read_model(BACKBONE)
    network = arithmetic.place(backbone.network())
    return {
        name: features_of(network, backbone.architecture, split.images, transform, arithmetic).numpy()
        for name, split in tqdm(splits.items(), "the backbone", unit="split", disable=None)
    }


def baseline_metrics(splits: dict[str, Split], features: dict[str, np.ndarray], confidence: float) -> dict[str, float]:
    """Return the accuracy, on each split, of naming the commonest class and of the linear probe, fitted on train."""
    labels = {name: split.labels.numpy() for name, split in splits.items()}
    commonest = commonest_class(labels["train"])
    probe = linear_probe().fit(features["train"], labels["train"])
    found = {}
    for name, own in labels.items():
        right = {"majority": own == commonest, "probe": probe.predict(features[name]) == own}
        for baseline, hits in right.items():
            found |= share_with_interval(f"{name}_{baseline}_accuracy", int(hits.sum()), len(own), confidence)
    return found


def threshold_metrics(both: Both, positive: int, own: Evaluate) -> dict[str, float]:
    """Return, for two classes, the threshold that is chosen on val, and every split's measures at it."""
    if both["val"][1].classes != 2:
        return {}
    threshold = choose_threshold(both["val"][1], positive, own.threshold)
    if threshold is None:
        return {}
    found = {"threshold": threshold}
    for name, (_, calibrated) in both.items():
        measures = metrics_at(threshold, calibrated, positive, own.threshold, own.confidence)
        found |= {f"{name}_{key}": value for key, value in measures.items()}
    return found


def label_doubts(
    splits: dict[str, Split],
    both: Both,
    train_features: np.ndarray,
    classes: list[str],
    own: Evaluate,
    seed: int,
) -> pd.DataFrame:
    """Return the most doubtful labels of each split, at most `doubts` a split."""
    tables = [pd.DataFrame(columns=COLUMNS)]
    for name, split in splits.items():
        labels = split.labels.numpy()
        if name == "train":
            probabilities = out_of_fold_probabilities(train_features, labels, own.folds, seed)
        else:
            probabilities = both[name][1].probabilities
        if probabilities is not None:
            tables.append(doubts(name, split.paths, labels, probabilities, classes).head(own.doubts))
    return stacked(tables)


def main() -> None:
    settings = params_file.load(Params)
    own, seed = settings.evaluate, settings.seed
    model, classes, splits = read_model(MODEL), read_classes(), read_splits()
    refuse_other_data(MODEL, model, classes, splits)
    positive = positive_class(own.positive, classes)
    curvature = json.loads(CURVATURE.read_text(encoding="utf-8"))["largest_curvature"]
    make_repeatable(seed)
    arithmetic = choose_arithmetic("float32")
    with timed("evaluate", sum(len(split.labels) for split in splits.values())):
        both = predict(model, splits, arithmetic)
        features = backbone_features(splits, model.transform, arithmetic)
        metrics: dict[str, float] = {"temperature": model.temperature}
        metrics |= lr_metrics(model.parameters["finetune"], curvature)
        for name, (plain, calibrated) in both.items():
            found = split_metrics(plain, calibrated, positive, own, seed)
            metrics |= {f"{name}_{key}": value for key, value in found.items()}
        metrics |= baseline_metrics(splits, features, own.confidence)
        metrics |= threshold_metrics(both, positive, own)
        doubtful = label_doubts(splits, both, features["train"], classes, own, seed)
    if "test" not in splits:
        metrics |= gain_by_choice(pd.read_csv(HISTORY), model.parameters["finetune"]["keep"])
    calibrated = {name: after for name, (_, after) in both.items()}
    for name in splits:
        print(line_of(name, metrics, own.confidence))
    print_few_mistakes(calibrated)
    tables = [predictions_table(name, splits[name], after, classes) for name, after in calibrated.items()]
    write_csv(PREDICTIONS, pd.concat(tables))
    write_csv(PER_CLASS, pd.concat([per_class_table(name, after, classes) for name, after in calibrated.items()]))
    reliability = [reliability_table(name, *pair, own.calibration_bins) for name, pair in both.items()]
    write_csv(RELIABILITY, pd.concat(reliability))
    write_csv(DOUBTS, doubtful)
    curves = [curve_tables(name, after, positive, classes) for name, after in calibrated.items()]
    for path, of_splits in zip((ROC, PRECISION_RECALL), zip(*curves, strict=True), strict=True):
        write_csv(path, stacked(list(of_splits)))
    write_json(METRICS, metrics)


if __name__ == "__main__":
    run(main)
