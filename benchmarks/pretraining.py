"""What pre-training is worth: the default recipe from pre-trained and from random weights, over seeds.

Runs one DVC experiment for each source and seed, beside the workspace (`--temp`), and prints the table of
benchmarks/README.md. Takes about 15 minutes on two cores:

    python -m benchmarks.pretraining
"""

import io
import statistics
import subprocess

import dvc.api

from plumbline.results.measures_file import MEASURES, Measures, read_measures

SOURCES = ("digits", "none")
SEEDS = (0, 1, 2)


def run_experiment(source: str, seed: int) -> Measures:
    """Run the pipeline and return what evaluate measured."""
    name = f"pretraining-{source}-{seed}"
    settings = ["--set-param", f"weights.source={source}", "--set-param", f"seed={seed}"]
    subprocess.run(["dvc", "exp", "run", "--temp", "--force", "--name", name, *settings], check=True)
    return read_measures(io.StringIO(dvc.api.read(MEASURES.as_posix(), rev=name), newline=""))


def row(source: str, seed: int, measures: Measures) -> str:
    """Return a line of the table: accuracy and interval on val and test."""
    cells = []
    for split in ("val", "test"):
        value, images, low, high = measures[split, "accuracy"]
        cells.append(f"{value:.3f} ({round(value * images)} of {images}; {low:.3f} to {high:.3f})")
    return f"| {source} | {seed} | {cells[0]} | {cells[1]} |"


def main() -> None:
    print("| weights.source | seed | val accuracy (95 % interval) | test accuracy (95 % interval) |")
    print("| --- | --- | --- | --- |")
    for source in SOURCES:
        results = [run_experiment(source, seed) for seed in SEEDS]
        for seed, measures in zip(SEEDS, results, strict=True):
            print(row(source, seed, measures), flush=True)
        accuracies = [measures["test", "accuracy"].value for measures in results]
        print(
            f"{source}: test accuracy {statistics.mean(accuracies):.3f}, deviation {statistics.stdev(accuracies):.3f}"
        )


if __name__ == "__main__":
    main()
