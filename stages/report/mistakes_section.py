"""The mistakes: images that are misclassified or nearly so, with their saliency, and labels that look wrong."""

from dataclasses import dataclass

from plumbline.presentation.percent import percent
from plumbline.run.paths import GALLERY
from stages.report.figures_and_tables import Table, data_uri, table
from stages.report.stage_results import Results

MOST_DOUBTS = 20


@dataclass(frozen=True)
class GalleryImage:
    """An image of the gallery, and its saliency map."""

    image: str  # a data URI
    saliency: str  # a data URI
    actual: str
    predicted: str
    probability: str
    path: str

    @property
    def alt(self) -> str:
        """The image's alternative text."""
        return f"{self.path}: {self.actual}, predicted as {self.predicted} with probability {self.probability}"


def gallery(results: Results) -> dict[str, list[GalleryImage]]:
    """Return the images of each row of the gallery."""
    return {
        row: [
            GalleryImage(
                data_uri(GALLERY / image.image),
                data_uri(GALLERY / image.saliency),
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
    """Return the labels that are most likely wrong."""
    rows = [
        [row.path, row.actual, row.suggested, percent(row.probability_of_suggested)]
        for row in results.label_doubts.itertuples()
    ]
    return table(
        "Labels that may be wrong", ["image", "label", "predicted class", "its probability"], rows, most=MOST_DOUBTS
    )
