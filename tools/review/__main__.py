"""Write a page on which you go through the images to look at first: whose label is doubtful, that are odd, and more.

    python -m tools.review                    writes report/review.html: open it in a browser, no network is needed
    python -m tools.review --each 500         more images of each kind

One key decides about an image: keep, relabel, exclude or undecided. The page saves corrections.csv, which the prepare
stage applies: put it into the project, and run `dvc exp run -S data.corrections=corrections.csv`. Where
data.corrections names a table, the page begins with what it says.

Reads data/prepared, data/audit, predictions.csv, label_doubts.csv and similar_images.csv under plots/, and, for images
that prepare has set aside, data.root; changes nothing but the page.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from plumbline.data.prepared import read_classes
from plumbline.params.data import Data
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.fields import SomeSections
from plumbline.run.outputs import whole_file_of_user
from plumbline.run.paths import PREDICTIONS
from stages import report
from stages.prepare.corrections import COLUMNS, UNDECIDED, Correction, read_corrections
from stages.prepare.folder_structure import FolderStructure, opened
from stages.prepare.labelled_files import find_data_set
from tools.command_line import count
from tools.review.images_to_review import KINDS, Image, files_are_needed, images_to_review
from tools.review.pictures import pictures
from tools.stale_results import LOCK, refuse_stale

PAGE = Path("report/review.html")
FOLDERS = (Path(__file__).parent, Path(report.__file__).parent)  # the page, and the report's style


class Params(SomeSections):
    data: Data


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "python -m tools.review", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--each", type=count, default=100, metavar="N", help="images of each kind; default: 100")
    parser.add_argument("--output", type=Path, default=PAGE, metavar="FILE", help=f"default: {PAGE}")
    return parser.parse_args()


def shown(image: Image, classes: list[str]) -> dict[str, Any]:
    """Return what the page shows of an image; classes by their numbers, None where copies have several labels."""
    label = classes.index(image.labels[0]) if len(image.labels) == 1 and image.labels[0] in classes else None
    says = None if image.predicted is None else [classes.index(image.predicted), image.probability]
    return {
        "sha256": image.sha256,
        "paths": image.paths,
        "split": image.split,
        "label": label,
        "model": says,
        "suggested": None if image.suggested in (None, *image.labels) else classes.index(image.suggested),
        "why": image.reasons,
    }


def contents_of(images: list[Image], corrections: list[Correction], classes: list[str]) -> dict[str, Any]:
    """Return what the page works on. `run` names it: what a browser remembers belongs to this content alone.

    Of several corrections of one file a decided one is there, as `prepare` applies it, though another says undecided.
    """
    decided_last = sorted(corrections, key=lambda correction: correction.action != UNDECIDED)
    by_file = {correction.sha256: correction for correction in decided_last}
    contents = {
        "classes": classes,
        "kinds": KINDS,
        "images": [shown(image, classes) for image in images],
        "corrections": [
            {key: value for key, value in asdict(correction).items() if key in COLUMNS}
            for correction in by_file.values()
        ],
    }
    return contents | {"run": hashlib.sha256(json.dumps(contents).encode()).hexdigest()[:16]}


def in_a_script(contents: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    return json.dumps(contents, ensure_ascii=False).replace("<", "\\u003c")


@contextmanager
def data_set(data: Data) -> Iterator[FolderStructure]:
    """Give the data set with its files, as prepare finds it."""
    with opened(Path(data.root)) as root:
        yield find_data_set(root, data)


def page(contents: dict[str, Any], small: list[str], root: str, name: str) -> str:
    """Return the page as HTML, given what it works on, the images' pictures, data.root and what to call the table."""
    present = {image["why"][0][0] for image in contents["images"]}
    environment = Environment(
        loader=FileSystemLoader([*FOLDERS]), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html.jinja").render(
        data_set=Path(root).name or root,
        corrections=name,
        classes=contents["classes"],
        kinds={kind: words for kind, words in KINDS.items() if kind in present},
        images=len(small),
        contents=in_a_script(contents),
        pictures=in_a_script(small),
    )


def main() -> None:
    given, data = arguments(), params_file.load(Params).data
    if PREDICTIONS.exists() and LOCK.exists():
        # Without the parameters: data.corrections may be newer than the results, for the page begins with it.
        refuse_stale("the workspace", LOCK.read_text(encoding="utf-8"), params={})
    classes = read_classes()
    corrections = read_corrections(data.corrections, classes) if data.corrections else []
    with data_set(data) if files_are_needed() else nullcontext() as structure:
        images = images_to_review(structure, corrections, given.each)
        small = pictures(images, data.max_pixels)
    contents = contents_of(images, corrections, classes)
    html = page(contents, small, data.root, data.corrections or "corrections.csv")
    with whole_file_of_user(given.output) as partial:
        partial.write_text(html + "\n", encoding="utf-8")
    print(f"{given.output}: {len(images)} images, {len(html.encode()) / 1e6:.1f} MB; open it in a browser")


if __name__ == "__main__":
    run(main)
