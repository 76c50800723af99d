"""plots/history.csv: one row an epoch, and before them epoch -1 where the head began as the probe's."""

import pandas as pd


def epochs_trained(history: pd.DataFrame) -> int:
    """Return how many epochs were trained: 0 where the probe's head is the result."""
    return int(history["epoch"].iloc[-1]) + 1


def begins_with_probe(history: pd.DataFrame) -> bool:
    """Return whether the first row is the network with the probe's head, before its first update."""
    return bool(history["epoch"].iloc[0] < 0)


def rows_of_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the epochs that were trained."""
    return history[history["epoch"] >= 0]
