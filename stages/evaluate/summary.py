"""What the stage prints at its end."""

from stages.evaluate.predictions import Predictions

FEW = 10  # mistakes on a split, measured in benchmarks/README.md


def line_of(name: str, metrics: dict[str, float], confidence: float) -> str:
    """Return a split's accuracy with its interval and size, and the baselines'."""
    interval = f"[{metrics[f'{name}_accuracy_low']:.3f}, {metrics[f'{name}_accuracy_high']:.3f}]"
    return (
        f"{name:5}  accuracy {metrics[f'{name}_accuracy']:.3f}, {confidence:.0%} interval {interval}, "
        f"{metrics[f'{name}_images']} images; commonest class {metrics[f'{name}_majority_accuracy']:.3f}, "
        f"linear probe {metrics[f'{name}_probe_accuracy']:.3f}"
    )


def print_few_mistakes(predictions: dict[str, Predictions]) -> None:
    """Print on which splits there are so few mistakes that samples of them tell too little."""
    mistakes = {name: int((own.predicted != own.labels).sum()) for name, own in predictions.items() if name != "train"}
    few = [f"{name} {count}" for name, count in mistakes.items() if count < FEW]
    if few:
        print(
            f"few mistakes ({', '.join(few)}): the bootstrap intervals there are too narrow, "
            "those of the accuracy, Wilson's, are not"
        )
