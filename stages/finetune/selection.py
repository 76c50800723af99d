"""Say from the history when training ends, and which epoch's weights are kept."""

from plumbline.params.finetune import Finetune

History = list[dict[str, float]]  # one row an epoch


def best_epoch(history: History) -> int:
    """Return the epoch with the lowest val loss, the first of several."""
    return min(range(len(history)), key=lambda epoch: history[epoch]["val_loss"])


def is_finished(history: History, recipe: Finetune) -> bool:
    """Say whether the last epoch is done, or the val loss has not fallen for `patience` epochs."""
    if not history or recipe.patience is None:
        return len(history) == recipe.epochs
    return len(history) == recipe.epochs or len(history) - 1 - best_epoch(history) >= recipe.patience


def kept_epoch(history: History, recipe: Finetune) -> int:
    """Return the epoch, counted from 0, whose weights are written."""
    return best_epoch(history) if recipe.keep == "best" else len(history) - 1
