"""All of a split's measures, by their names in metrics/evaluate.json but for the split's."""

from plumbline.params.evaluate import Evaluate
from plumbline.results.class_scores import class_measures
from stages.evaluate.calibration import calibration_metrics
from stages.evaluate.intervals import share_with_interval, with_intervals
from stages.evaluate.predictions import Predictions
from stages.evaluate.scores import hits_among_likeliest, loss_measures, ranking_measures

TOP = 5  # classes, of which one has to be right, where there are more
WORK = 500_000_000  # images, times classes, times resamples, that the ranking measures may take
FEWEST_RESAMPLES = 100


def split_metrics(
    plain: Predictions, calibrated: Predictions, positive: int, own: Evaluate, seed: int
) -> dict[str, float]:
    """Return a split's measures with their intervals, before and after the temperature where it matters."""
    images, correct = len(plain.labels), int((plain.predicted == plain.labels).sum())
    found: dict[str, float] = {"images": images} | share_with_interval("accuracy", correct, images, own.confidence)
    if plain.classes > TOP:
        hits = hits_among_likeliest(plain, TOP)
        found |= share_with_interval(f"top{TOP}_accuracy", hits, images, own.confidence)
    for measures in (class_measures(plain.labels, plain.predicted, plain.classes), loss_measures(plain, calibrated)):
        found |= with_intervals(measures, plain, own.resamples, own.confidence, seed)
    resamples = ranking_resamples(calibrated, own.resamples)
    found |= with_intervals(ranking_measures(calibrated, positive), plain, resamples, own.confidence, seed)
    return found | calibration_metrics(plain, calibrated, own.calibration_bins, seed)


def ranking_resamples(predictions: Predictions, wish: int) -> int:
    """Return how often to resample for the ranking measures: less often where many images have many classes."""
    rankings = 1 if predictions.classes == 2 else predictions.classes
    return min(wish, max(FEWEST_RESAMPLES, WORK // (len(predictions.labels) * rankings)))
