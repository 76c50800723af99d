"""Choose the images on which the model is most wrong, least sure and most sure."""

import pandas as pd

MOST_WRONG, LEAST_SURE, MOST_SURE = "most wrong", "least sure", "most sure"
ROWS = (MOST_WRONG, LEAST_SURE, MOST_SURE)
SPLITS = ("test", "val")  # the first that there is


def chosen(predictions: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return at most `count` images for each row, of plots/predictions.csv's columns and `row`; none is in two rows.

    Most wrong: mistakes with the highest loss. Least and most sure: of the other images, the predictions with the
    lowest and the highest probability.
    """
    split = next(split for split in SPLITS if (predictions["split"] == split).any())
    left = predictions[predictions["split"] == split]
    rows = []
    for row, column, ascending in (
        (MOST_WRONG, "loss", False),
        (LEAST_SURE, "probability", True),
        (MOST_SURE, "probability", False),
    ):
        candidates = left[left["correct"] == 0] if row == MOST_WRONG else left
        taken = candidates.sort_values([column, "path"], ascending=[ascending, True], kind="stable").head(count)
        rows.append(taken.assign(row=row))
        left = left.drop(index=taken.index)
    return pd.concat(rows)
