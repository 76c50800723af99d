"""Results of a run as the report reads them, with what a test gives."""

from dataclasses import fields

import pandas as pd

from plumbline.results.measures_file import Measure, Measures
from stages.report.stage_results import Results


def results_of(measures: Measures, **tables: pd.DataFrame) -> Results:
    """Return what the sentences read: measures, classes and tables, the rest empty."""
    empty = dict.fromkeys((each.name for each in fields(Results)), pd.DataFrame())
    return Results(**empty | {"measures": measures, "classes": ["a", "b"]} | tables)


def accuracies(split: str, accuracy: float) -> Measures:
    """Return a split's accuracy, with its interval and its baselines."""
    own = {"accuracy": Measure(accuracy, 4, 0.3, 0.9999), "majority_accuracy": Measure(0.5, 4, 0.3, 0.7)}
    return {(split, name): value for name, value in (own | {"probe_accuracy": Measure(0.75, 4, 0.5, 0.9)}).items()}
