"""Classify images with the trained model.

    python -m tools.predict photo.jpg                        a file
    python -m tools.predict photos 'more/**/*.png' old.zip   folders, patterns, archives
    find . -name '*.jpg' -print0 | python -m tools.predict --null -
    python -m tools.predict photos --output predictions.csv --top 3
    python -m tools.predict photos --model faster            the model of a commit, branch, tag or experiment
    python -m tools.predict photos --coverage 0.95           with classes of which 0.95 of all sets hold the true one

Column `known` says no where an image is not like those of training, and p_known how rarely one of those is as far away.
Decoding, orientation, colours and transform are the same as in training. A file that gives no image is a row with the
reason. Of 20 images or more a line on standard error says whether they look like those of val. Exit status: 0, all were
classified; 3, some gave no image; 1, an error, which is printed in one line.
"""

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from plumbline.classifier import KEEP, PRECISIONS, Classifier
from plumbline.images.decoded import LARGEST_MAX_PIXELS, MAX_PIXELS
from plumbline.images.unreadable import Unreadable
from plumbline.model.conformal_counts import too_few_images
from plumbline.model.prediction_sets import promise
from plumbline.run.errors import UserError, one_line, run
from plumbline.run.outputs import whole_file_of_user
from plumbline.training.device_and_precision import make_repeatable, nondeterministic_operations
from tools.command_line import add_model, count, model_file, share
from tools.predict.drift import Compared
from tools.predict.prefetch import decoded
from tools.predict.rows import ABSTAINED, SET, SPREADSHEETS, WRITERS, Row
from tools.predict.sources import Source, find_sources

SOME_GAVE_NO_IMAGE = 3
FORMATS_BY_SUFFIX = {
    "": "table",
    ".txt": "table",
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "python -m tools.predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="file, folder, pattern, archive, or - for a list")
    add_model(parser)
    parser.add_argument("--top", type=count, default=1, metavar="K", help="likeliest classes of each image; default: 1")
    parser.add_argument(
        "--keep",
        type=share,
        metavar="SHARE",
        help="share of images like those of training that are to be known; default: evaluate.unknown.keep, params.yaml",
    )
    parser.add_argument(
        "--coverage",
        type=share,
        metavar="SHARE",
        help="column set: the classes that, for this share of images like those of val, hold the true one",
    )
    parser.add_argument(
        "--abstain-below",
        type=share,
        metavar="PROBABILITY",
        help="column abstained: yes where the likeliest class has less; evaluate prints it for two of its aims",
    )
    parser.add_argument("--format", choices=WRITERS, help="default: by the output's suffix, else table")
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument(
        "--spreadsheet",
        action="store_true",
        help="csv, tsv: put ' before text that a spreadsheet would take for a formula, such as =1+1",
    )
    parser.add_argument("--null", action="store_true", help="the list's names end with a zero byte, as find -print0")
    parser.add_argument(
        "--max-pixels",
        type=partial(count, most=LARGEST_MAX_PIXELS),
        default=MAX_PIXELS,
        metavar="N",
        help=f"larger images are not decoded; default: {MAX_PIXELS:,}",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="float32, as evaluated, is the default; bfloat16 is faster where the hardware has it",
    )
    return parser.parse_args()


def format_of(given: argparse.Namespace) -> str:
    """Return the output's format: the one given, else by the suffix of the output. Raises UserError for neither."""
    suffix = given.output.suffix.lower() if given.output else ""
    if given.format is None and suffix not in FORMATS_BY_SUFFIX:
        known = ", ".join(ending for ending in FORMATS_BY_SUFFIX if ending)
        raise UserError(
            f"--output {given.output} ends in {suffix}, which is no known format: end it in {known}, or give --format"
        )
    output_format = given.format or FORMATS_BY_SUFFIX[suffix]
    if given.spreadsheet and output_format not in SPREADSHEETS:
        raise UserError(
            f"--spreadsheet is for {' and '.join(SPREADSHEETS)}, and the output's format is {output_format}"
        )
    return output_format


def keep_of(given: argparse.Namespace) -> float:
    """Return the share given, else that of params.yaml, else, in a folder without it, the usual one."""
    if given.keep is not None or not Path("params.yaml").exists():
        return given.keep or KEEP
    from plumbline.params.evaluate import Evaluate  # what these import is needed here alone
    from plumbline.run import params_file
    from plumbline.run.fields import SomeSections

    class Params(SomeSections):
        evaluate: Evaluate

    return params_file.load(Params).evaluate.unknown.keep


def print_what_is_not_judged(classifier: Classifier, model: str) -> None:
    """Print a line where the model cannot tell whether an image is unknown."""
    if not classifier.has_score:
        line = "has no score of unknown images: the columns known and p_known are empty; `dvc repro` writes one"
    else:
        line = too_few_images(classifier.keep, classifier.network.score.val_images)
    if line:
        print(one_line(f"{model}: {line}"), file=sys.stderr)


def classified(
    sources: list[Source], classifier: Classifier, max_pixels: int, abstain_below: float | None
) -> Iterator[Row]:
    """Yield a row for each source, in order."""

    def pixels_and_size(path: Path) -> tuple[np.ndarray, int]:
        return classifier.pixels_and_size(path, max_pixels)

    images = decoded(sources, pixels_and_size)
    with contextlib.closing(images), tqdm(total=len(sources), unit="image", disable=None) as progress:
        while batch := list(itertools.islice(images, classifier.batch_size)):
            usable = [image for _, image in batch if not isinstance(image, Unreadable)]
            pixels, sizes = zip(*usable, strict=True) if usable else ((), ())
            predictions = iter(classifier.classify(np.stack(pixels), sizes) if usable else ())
            for source, image in batch:
                result = image if isinstance(image, Unreadable) else next(predictions)
                is_judged = abstain_below is not None and result is not image
                yield Row(source.name, result, result.probability < abstain_below if is_judged else None)
            progress.update(len(batch))


def noted(rows: Iterator[Row], reasons: Counter, seen: Compared) -> Iterator[Row]:
    """Yield the rows, and note why files gave no image, and of the others what is compared with val."""
    for row in rows:
        if isinstance(row.result, Unreadable):
            reasons[row.result.reason] += 1
        else:
            seen.add(row.result)
        yield row


def write_to_standard_output(write, rows: Iterator[Row], top: int) -> bool:
    """Write the rows to standard output; return False if its reader ends early, as `head` does."""
    sys.stdout.reconfigure(encoding="utf-8", newline="")
    try:
        write(rows, sys.stdout, top)
        sys.stdout.flush()
        return True
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False


def main() -> None:
    given = arguments()
    asked = [name for name, wish in ((ABSTAINED, given.abstain_below), (SET, given.coverage)) if wish is not None]
    write = partial(WRITERS[format_of(given)], asked=asked)
    if given.spreadsheet:
        write = partial(write, for_spreadsheet=True)
    with tempfile.TemporaryDirectory() as scratch, nondeterministic_operations([]):
        sources = find_sources(given.paths, Path(scratch), null=given.null)
        with model_file(given.model) as path:
            classifier = Classifier.load(path, given.precision, keep_of(given), given.coverage)
        if given.top > len(classifier.classes):
            raise UserError(f"--top is {given.top}, and the model knows {len(classifier.classes)} classes")
        print_what_is_not_judged(classifier, given.model)
        if classifier.sets is not None:
            line = promise(classifier.sets, classifier.val.labels.numpy(), classifier.classes, given.coverage)
            print(one_line(line), file=sys.stderr)
        make_repeatable(0, deterministic=classifier.is_repeatable)
        reasons: Counter[str] = Counter()
        seen, is_read = Compared(), True
        rows = noted(classified(sources, classifier, given.max_pixels, given.abstain_below), reasons, seen)
        if given.output:
            with (
                whole_file_of_user(given.output) as unfinished,
                unfinished.open("w", encoding="utf-8", newline="") as file,
            ):
                write(rows, file, given.top)
        else:
            is_read = write_to_standard_output(write, rows, given.top)
        if is_read and (line := seen.line(classifier)):
            print(line, file=sys.stderr)
    if reasons:
        why = ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
        print(f"{reasons.total()} of {len(sources)} files gave no image ({why}); their rows say why", file=sys.stderr)
        sys.exit(SOME_GAVE_NO_IMAGE)


if __name__ == "__main__":
    run(main, takes_memory="image.crop")
