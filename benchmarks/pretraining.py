"""What pre-training is worth: the default recipe from pre-trained and from random weights, over seeds.

Runs one DVC experiment for each source and seed, beside the workspace (`--temp`), and prints the table of
benchmarks/README.md. Takes about 15 minutes on two cores:

    python -m benchmarks.pretraining
"""

import statistics
import subprocess

import dvc.api

SOURCES = ("digits", "none")
SEEDS = (0, 1, 2)


def run_experiment(source: str, seed: int) -> dict[str, float]:
    """Run the pipeline and return what evaluate measured."""
    name = f"pretraining-{source}-{seed}"
    settings = ["--set-param", f"weights.source={source}", "--set-param", f"seed={seed}"]
    subprocess.run(["dvc", "exp", "run", "--temp", "--force", "--name", name, *settings], check=True)
    return dvc.api.metrics_show("metrics/evaluate.json", rev=name)


def row(source: str, seed: int, metrics: dict[str, float]) -> str:
    """Return a line of the table: accuracy and interval on val and test."""
    cells = []
    for split in ("val", "test"):
        accuracy, images = metrics[f"{split}_accuracy"], metrics[f"{split}_images"]
        interval = f"{metrics[f'{split}_accuracy_low']:.3f} to {metrics[f'{split}_accuracy_high']:.3f}"
        cells.append(f"{accuracy:.3f} ({round(accuracy * images)} of {images}; {interval})")
    return f"| {source} | {seed} | {cells[0]} | {cells[1]} |"


def main() -> None:
    print("| weights.source | seed | val accuracy (95 % interval) | test accuracy (95 % interval) |")
    print("| --- | --- | --- | --- |")
    for source in SOURCES:
        results = [run_experiment(source, seed) for seed in SEEDS]
        for seed, metrics in zip(SEEDS, results, strict=True):
            print(row(source, seed, metrics), flush=True)
        accuracies = [metrics["test_accuracy"] for metrics in results]
        print(
            f"{source}: test accuracy {statistics.mean(accuracies):.3f}, deviation {statistics.stdev(accuracies):.3f}"
        )


if __name__ == "__main__":
    main()
