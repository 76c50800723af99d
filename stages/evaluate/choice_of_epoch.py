"""How much a val accuracy may owe to the choice of the epoch by val, where no test split says it better."""

import pandas as pd


def gain_by_choice(history: pd.DataFrame, keep: str) -> dict[str, float]:
    """Return the kept epoch's val accuracy beyond the mean of the epochs from it on; 0 where the last is kept.

    From there the val loss did not improve: those epochs are as good, but for luck. Prints what that means.
    """
    print("there is no test split: the val accuracy is optimistic, for the recipe may have been chosen by it", end="")
    if keep == "last":
        print("; no epoch was chosen")
        return {"val_accuracy_gain_by_choice": 0.0}
    kept = int(history["val_loss"].idxmin())
    gain = float(history["val_accuracy"][kept] - history["val_accuracy"][kept:].mean())
    print(f"; choosing epoch {kept} of {len(history)} may have gained {100 * gain:.1f} points")
    return {"val_accuracy_gain_by_choice": gain}
