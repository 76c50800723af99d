"""The images to look at: the gallery, and the labels to doubt."""

from dataclasses import dataclass
from pathlib import Path

from plumbline.presentation.percent import percent
from stages.report.figures import inlined
from stages.report.results import Results
from stages.report.tables import Table, table

GALLERY = Path("data/gallery")
MOST_DOUBTS = 20


@dataclass(frozen=True)
class Card:
    """An image of the gallery, and where the network looked."""

    image: str  # a data URI
    saliency: str
    actual: str
    predicted: str
    probability: str
    path: str

    @property
    def alt(self) -> str:
        """What the image is."""
        return f"{self.path}: {self.actual}, predicted as {self.predicted} with {self.probability}"


def gallery(results: Results) -> dict[str, list[Card]]:
    """Return the cards of each row."""
    return {
        row: [
            Card(
                inlined(GALLERY / image.image),
                inlined(GALLERY / image.saliency),
                image.actual,
                image.predicted,
                percent(image.probability),
                image.path,
            )
            for image in rows.itertuples()
        ]
        for row, rows in results.gallery.groupby("row", sort=False)
    }


def doubts_table(results: Results) -> Table:
    """Return the labels that are contradicted most."""
    rows = [
        [row.path, row.actual, row.suggested, percent(row.probability_of_suggested)]
        for row in results.label_doubts.itertuples()
    ]
    return table("Labels to look at first", ["image", "label", "suggested", "probability"], rows, most=MOST_DOUBTS)
