"""The measures are scikit-learn's; the order of images and of classes changes none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as theirs

from plumbline.params.all import AllParams
from plumbline.params.evaluate import Evaluate
from plumbline.results.class_scores import class_measures
from plumbline.run import params_file
from stages.evaluate.measures import (
    among_likeliest,
    loss_measures,
    per_class_table,
    ranking_measures,
    split_measures,
)
from stages.evaluate.predictions import Predictions, SplitPredictions
from stages.evaluate.ranking import ranking_scores
from tests.conftest import PROJECT
from tests.stages.evaluate.conftest import from_logits, from_probabilities, random_predictions


def evaluate_section(**changes: object) -> Evaluate:
    own = params_file.load(AllParams, PROJECT / "params.yaml").evaluate
    return own.model_copy(update={"resamples": 100} | changes)


def all_measures(predictions: Predictions, weights: np.ndarray) -> dict[str, float]:
    last = predictions.classes - 1
    return (
        class_measures(predictions.labels, predictions.predicted, predictions.classes)(weights)
        | loss_measures(predictions, predictions)(weights)
        | ranking_measures(predictions, last)(weights)
    )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 100])
def test_every_measure_is_scikit_learns_with_and_without_weights(classes: int, ties: bool) -> None:
    predictions = random_predictions(1000, classes, ties=ties)
    labels, probabilities, predicted = predictions.labels, predictions.probabilities, predictions.predicted
    for weights in (np.ones(1000), np.random.default_rng(1).integers(0, 4, 1000).astype(float)):
        found = all_measures(predictions, weights)
        kept = {"sample_weight": weights}
        there = np.unique(labels[weights > 0])
        assert found["balanced_accuracy"] == pytest.approx(theirs.balanced_accuracy_score(labels, predicted, **kept))
        assert found["macro_f1"] == pytest.approx(
            theirs.f1_score(labels, predicted, labels=there, average="macro", zero_division=0, **kept)
        )
        assert found["loss"] == pytest.approx(theirs.log_loss(labels, probabilities, **kept))
        assert found["brier"] == pytest.approx(
            theirs.brier_score_loss(labels, probabilities[:, 1] if classes == 2 else probabilities, **kept)
        )
        ranked = [1] if classes == 2 else range(classes)
        assert found["auroc"] == pytest.approx(
            np.mean([theirs.roc_auc_score(labels == c, probabilities[:, c], **kept) for c in ranked])
        )
        assert found["average_precision"] == pytest.approx(
            np.mean([theirs.average_precision_score(labels == c, probabilities[:, c], **kept) for c in ranked])
        )


def test_the_hits_among_the_likeliest_are_scikit_learns_and_a_tie_counts_against_the_model() -> None:
    predictions = random_predictions(500, 12)
    wanted = theirs.top_k_accuracy_score(predictions.labels, predictions.probabilities, k=5, normalize=False)
    assert among_likeliest(predictions, 5).sum() == wanted
    assert not among_likeliest(from_logits(np.array([0]), np.zeros((1, 6))), 5)


@pytest.mark.medium
@given(seed=st.integers(0, 1000), classes=st.sampled_from([2, 3, 12]), images=st.integers(20, 60))
@settings(max_examples=10)
def test_the_order_of_the_images_and_the_names_of_the_classes_change_nothing(
    seed: int, classes: int, images: int
) -> None:
    predictions = random_predictions(images, classes, seed)
    chance = np.random.default_rng(seed)
    shuffled = chance.permutation(images)
    renamed = chance.permutation(classes)  # class c is now called renamed[c]
    columns = np.argsort(renamed)
    other = Predictions(renamed[predictions.labels[shuffled]], predictions.log_probabilities[shuffled][:, columns])
    own = evaluate_section()
    before = split_measures(SplitPredictions(predictions, predictions), predictions, classes - 1, own, seed=0)
    after = split_measures(SplitPredictions(other, other), other, renamed[classes - 1], own, seed=0)
    assert after.keys() == before.keys()
    for name, measure in before.items():
        assert (measure.low is None) == (after[name].low is None)
        assert [end for end in after[name] if end is not None] == pytest.approx(
            [end for end in measure if end is not None], rel=1e-9
        )


def test_a_perfect_and_a_constant_classifier_give_the_known_values() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    perfect = from_logits(labels, 40.0 * np.eye(2)[labels])
    found = split_measures(SplitPredictions(perfect, perfect), perfect, 1, evaluate_section(), seed=0)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision"):
        assert found[name].value == found[name].high == 1
    assert found["loss"].value == pytest.approx(0, abs=1e-12)
    constant = from_probabilities(labels.tolist(), [[0.75, 0.25]] * 40)
    measures = split_measures(SplitPredictions(constant, constant), constant, 1, evaluate_section(), seed=0)
    found = {name: measure.value for name, measure in measures.items()}
    assert (found["accuracy"], found["balanced_accuracy"], found["auroc"]) == (0.75, 0.5, 0.5)
    assert found["average_precision"] == 0.25  # the share of the positive class
    assert found["macro_f1"] == pytest.approx((2 * 30 / 70 + 0) / 2)
    assert found["brier"] == pytest.approx(0.75 * 0.25)
    assert found["loss"] == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert found["calibration_error"] == pytest.approx(0)


@pytest.mark.parametrize("classes", [2, 3])
def test_images_are_ranked_by_logits_where_probabilities_are_saturated(classes: int) -> None:
    """Logit differences from 38 on round to a probability of 1 in float64, and those beyond -745 to 0."""
    differences = np.concatenate([np.linspace(38, 43, 20), np.linspace(44, 49, 20), [-800.0, -790.0]])
    labels = np.array([0] * 20 + [classes - 1] * 20 + [0, classes - 1])
    logits = np.zeros((42, classes))
    logits[:, -1] = differences
    order = np.random.default_rng(0).permutation(42)
    predictions = from_logits(labels[order], logits[order])
    is_last = predictions.labels == classes - 1
    scores = ranking_scores(predictions)[:, -1]
    assert theirs.roc_auc_score(is_last, predictions.probabilities[:, -1]) < 0.55
    assert theirs.roc_auc_score(is_last, scores) == theirs.roc_auc_score(is_last, logits[order, -1])
    assert np.argsort(scores).tolist() == np.argsort(logits[order, -1]).tolist()


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_ranking_scores_are_in_the_order_of_the_probabilities(seed: int) -> None:
    predictions = random_predictions(200, 4, seed, skill=seed % 60)
    for c in range(4):
        by_score = predictions.probabilities[np.argsort(ranking_scores(predictions)[:, c], kind="stable"), c]
        assert (np.diff(by_score) >= -1e-12).all()  # but for the rounding of probabilities near 1


def test_precision_recall_and_f1_are_those_worked_by_hand() -> None:
    # a: 3 actual, 2 found, 3 predicted; b: 2 actual, 1 found, 2 predicted; c: never met, never predicted.
    predictions = from_logits(np.array([0, 0, 0, 1, 1]), 9.0 * np.eye(3)[[0, 0, 1, 0, 1]])
    table = per_class_table("val", predictions, ["a", "b", "c"])
    assert table["images"].to_list() == [3, 2, 0]
    np.testing.assert_allclose(table["precision"], [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(table["recall"], [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(table["f1"], [2 / 3, 1 / 2, 0])
