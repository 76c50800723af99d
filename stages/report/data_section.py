"""The data: how many images each class has in each split, and what the audit found."""

import pandas as pd

from stages.report.figures_and_tables import Figure, Table, counted, figure, table
from stages.report.stage_results import Results


def data_sentence(results: Results) -> str:
    """Return how many images there are, in which splits, and how many files were not used."""
    sizes = results.manifest["split"].value_counts()
    splits = ", ".join(f"{sizes[split]:,} {split}" for split in results.splits)
    unused = len(results.quarantine)
    rest = f"{counted(unused, 'file')} {'was' if unused == 1 else 'were'} not used" if unused else "every file was used"
    return f"{counted(len(results.manifest), 'image')} of {len(results.classes)} classes ({splits}); {rest}"


def images_table(results: Results) -> Table:
    """Return how many images each class has in each split."""
    counts = pd.crosstab(results.manifest["class"], results.manifest["split"])
    counts = counts.reindex(index=results.classes, columns=results.splits, fill_value=0)
    rows = [[name, *map(int, row)] for name, row in counts.iterrows()]
    return table("Images by class and split", ["class", *results.splits], rows)


def quarantine_table(results: Results) -> Table:
    """Return the files that were not used, and why."""
    rows = results.quarantine[["path", "reason", "detail"]].to_numpy().tolist()
    return table("Files that were not used", ["file", "reason", "detail"], rows)


def audit_figure(results: Results) -> Figure:
    """Return the figure of the audit."""
    used, unused = len(results.manifest), len(results.quarantine)
    sizes = results.images.groupby(["width", "height"]).size()
    width, height = sizes.idxmax()
    noted = results.metrics["prepare"]["noted"]
    one_size = len(sizes) == 1
    panels = ["images by class and split", *([] if one_size else ["their sizes"])]
    panels += ["files that were not used"] * bool(unused) + ["images that were used but are unusual"] * bool(noted)
    all_of = f" All images are {width} x {height} pixels." if one_size else ""
    return figure(
        "data",
        f"The audit of the data: {', '.join(panels)}.{all_of}",
        f"Bar charts: {used:,} images of {len(results.classes)} classes; the most frequent size is {width} x {height} "
        f"pixels ({sizes.max():,} images); {unused:,} files were not used; {noted:,} images are unusual.",
        wide=len(panels) > 1,
    )
