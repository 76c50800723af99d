"""A threshold, chosen on val, that has a recall, precision or accuracy on new images with a confidence.

Recall and precision are those of the positive one of two classes; the accuracy is that of any number of classes.

Of all draws of val, the share whose threshold gives new images less than is promised is at most 1 minus
`evaluate.confidence`. It holds for images that are drawn as the val images were.
Sources: Angelopoulos, Bates, Candes, Jordan and Lei 2021, "Learn then test: calibrating predictive algorithms to
achieve risk control", arXiv:2110.01052, for fixed-sequence testing with exact binomial p-values; Wilks 1941,
"Determination of sample sizes for setting tolerance limits", for thresholds that are order statistics; Geifman and
El-Yaniv 2017, "Selective classification for deep neural networks", arXiv:1705.08500, for leaving out what is less sure.
"""

import math
import sys

import numpy as np
from scipy.stats import binom

from plumbline.params.evaluate import Threshold
from plumbline.results.measures_file import Measure, Measures
from plumbline.run.errors import UserError
from stages.evaluate.abstaining import how_to_leave_out, measures_when_sure, sureness_of
from stages.evaluate.predictions import Predictions, SplitPredictions
from stages.evaluate.threshold import measures_at

KINDS = {"promised_recall": "recall", "promised_precision": "precision", "promised_accuracy": "accuracy"}


def measures_with_promise(
    predictions: dict[str, SplitPredictions], positive: int, wish: Threshold, confidence: float
) -> Measures:
    """Return the threshold, if there is one, and the measures of the splits but val at it; print what is promised.

    Measures on the images that set it would be too good.
    """
    threshold = promised_threshold(predictions["val"].calibrated, positive, wish, confidence)
    if threshold is None:
        return {}
    print(line_of_promise(threshold, wish, confidence))
    result = {("val", "threshold"): Measure(threshold, len(predictions["val"].calibrated.labels))}
    for split, (_, calibrated) in predictions.items():
        if split != "val":
            if wish.aim == "promised_accuracy":
                measures = measures_when_sure(sureness_of(calibrated) >= threshold, calibrated, confidence)
            else:
                measures = measures_at(threshold, calibrated, positive, wish, confidence)
            result |= {(split, name): measure for name, measure in measures.items()}
    return result


def promised_threshold(predictions: Predictions, positive: int, wish: Threshold, confidence: float) -> float | None:
    """Return the threshold that serves the aim with the confidence; None, and a line, where these images show none.

    Raises UserError where there are too few images for the promise, whatever they show.
    """
    probability, is_positive = predictions.probabilities[:, positive], predictions.labels == positive
    risk, allowed = (1 - confidence) * (1 + 1e-9), 1 - wish.promised  # rounding
    needed = images_needed(wish.promised, risk)
    refuse_too_few(int(is_positive.sum()) if wish.aim == "promised_recall" else len(is_positive), needed, wish)
    if wish.aim == "promised_recall":
        return highest_with_recall(probability[is_positive], allowed, risk)
    if wish.aim == "promised_precision":
        sureness, wrong = probability, ~is_positive
    else:
        sureness, wrong = sureness_of(predictions), ~predictions.right
    threshold = lowest_with_few_wrong(sureness, wrong, allowed, risk)
    if threshold is None:
        print(line_of_no_promise(wrong[sureness >= np.sort(sureness)[-needed]], allowed, risk, wish), file=sys.stderr)
    return threshold


def line_of_no_promise(wrong: np.ndarray, allowed: float, risk: float, wish: Threshold) -> str:
    """Return the line on the surest images, bool (n,): as many as the promise takes, and all that are as sure."""
    most = np.flatnonzero(binom.cdf(np.arange(len(wrong)), len(wrong), allowed) <= risk)[-1]
    return (
        f"no threshold on val promises a {KINDS[wish.aim]} of {wish.promised:g} on new images: of the {len(wrong)} "
        f"surest val images {wrong.sum()} are wrong, and {f'at most {most}' if most else 'none'} may be"
    )


def images_needed(promised: float, risk: float) -> int:
    """Return how many images without a mistake the promise takes."""
    return math.ceil(math.log(risk) / math.log(promised))


def refuse_too_few(images: int, needed: int, wish: Threshold) -> None:
    """Raise UserError if so many images can promise nothing."""
    if images < needed:
        which = "val images of the positive class" if wish.aim == "promised_recall" else "val images"
        raise UserError(
            f"evaluate.threshold.aim is {wish.aim}: to promise {wish.promised:g} takes {needed:,} {which}, and there "
            f"are {images:,}: give more, or lower evaluate.threshold.promised or evaluate.confidence"
        )


def highest_with_recall(of_positive: np.ndarray, allowed: float, risk: float) -> float:
    """Return the highest threshold below which, with the risk, more than the allowed share of the positive images lie.

    It is the probability of one of these (P,), of a rank that their number alone decides: the share below it has a beta
    distribution, whose tail is the binomial sum.
    """
    below = int(np.flatnonzero(binom.cdf(np.arange(len(of_positive)), len(of_positive), allowed) <= risk)[-1])
    return float(np.sort(of_positive)[below])


def lowest_with_few_wrong(sureness: np.ndarray, wrong: np.ndarray, allowed: float, risk: float) -> float | None:
    """Return the lowest threshold of sureness (N,) from which on at most the allowed share is wrong, but for the risk.

    The hypotheses that more are wrong are tested in a fixed order: of the so many surest images, from as few as could
    reject one to all; the first that is not rejected ends it. The images that are surer than the one of a given rank
    are drawn independently from all that are surer, so that the number of wrong ones is binomial. No more than the risk
    of all draws reject a true one, where less sure images are wrong more often. None if none is rejected.
    """
    order, fewest = np.argsort(-sureness, kind="stable"), images_needed(1 - allowed, risk)
    values, wrong_among = sureness[order], np.append(0, wrong[order].cumsum())
    borders = np.append(values[fewest:], -math.inf)  # of the `fewest` surest, one more, ..., all
    surer = np.searchsorted(-values, -borders)  # fewer where some are as sure as the border
    rejected = binom.cdf(wrong_among[surer], surer, allowed) <= risk
    in_order = np.flatnonzero(surer >= fewest)
    first_kept = np.flatnonzero(~rejected[in_order])
    certified = in_order[: first_kept[0]] if len(first_kept) else in_order
    if not len(certified):
        return None
    return float(max(np.nextafter(borders[certified[-1]], math.inf), 0.0))


def line_of_promise(threshold: float, wish: Threshold, confidence: float) -> str:
    """Return the line that the stage prints of a threshold with a promise."""
    is_accuracy = wish.aim == "promised_accuracy"
    of = " on those that are so sure of a class" if is_accuracy else ""
    return (
        f"threshold {threshold:.4f}: of new images, drawn as val's were, it has a {KINDS[wish.aim]} of at least "
        f"{wish.promised:g}{of}, with a confidence of {confidence:g}"
        f"{how_to_leave_out(threshold) if is_accuracy else ''}"
    )
