"""The few numbers that `dvc metrics show` and `dvc exp show` print: they fit 100 columns."""

from stages.report.results import Results
from stages.report.run_at_hand import judged_on


def summary(results: Results) -> dict[str, int | float]:
    """Return the accuracy with its interval and the log loss, on test or else val; and val's, to choose by."""
    split, own = judged_on(results), results.metrics["evaluate"]
    found: dict[str, int | float] = {
        f"{split}_accuracy": own[f"{split}_accuracy"],
        f"{split}_low": own[f"{split}_accuracy_low"],
        f"{split}_high": own[f"{split}_accuracy_high"],
        f"{split}_loss": own[f"{split}_loss"],
    }
    if split != "val":
        found["val_accuracy"] = own["val_accuracy"]
    return found
