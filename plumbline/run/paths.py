"""Every path by which one stage hands its results to another, relative to the project's root.

dvc.yaml names the same paths as outputs and dependencies; tests/test_dependencies.py compares them.
"""

from pathlib import Path

PRETRAINED_PIXELS = Path("data/pretrained_pixels.json")
PREPARED = Path("data/prepared")
AUDIT = Path("data/audit")
CLUSTERS = AUDIT / "clusters.csv"
DIGITS_SOURCE = Path("data/digits-source")
TRACED_GRAPH = Path("data/derivations/computational_graph.json")
FIGURES = Path("data/figures")
GALLERY = Path("data/gallery")

BACKBONE = Path("models/backbone.safetensors")
FINETUNED = Path("models/finetuned.safetensors")

CURVATURE = Path("metrics/curvature.json")

HISTORY = Path("plots/history.csv")
PREDICTIONS = Path("plots/predictions.csv")
MEASURES = Path("plots/measures.csv")
EXPORTED_FILES = Path("plots/exported_files.csv")
