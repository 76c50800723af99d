"""How long the review page takes to answer a key, with 5,000 images of 100 classes, in Chromium without a window.

    python -m benchmarks.review_page FOLDER

FOLDER holds photographs, whose pictures take turns. Prints the page's size, how long it takes to load, and of 300 keys,
ten a second, how long the page's own script takes, and how long it is until the next frame is painted.
"""

import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from plumbline.images.class_folders import files_below
from plumbline.images.square import to_square
from tests.support.browser import opened
from tools.review.__main__ import contents_of, page
from tools.review.images_to_review import KINDS, Image
from tools.review.pictures import SIZE, data_uri

IMAGES, CLASSES, PHOTOGRAPHS, KEYS = 5000, 100, 200, 300
WATCH = """() => {
  window.spent = {script: [], painted: []};
  let start;
  addEventListener("keydown", () => {
    const mine = start = performance.now(), painted = new MessageChannel();
    painted.port1.onmessage = () => spent.painted.push(performance.now() - mine);
    requestAnimationFrame(() => painted.port2.postMessage(0));
  }, true);
  addEventListener("keydown", () => spent.script.push(performance.now() - start));
}"""


def big_page(folder: Path) -> str:
    """Return the page of many images of many classes."""
    paths = itertools.islice(files_below(folder), PHOTOGRAPHS)
    small = [data_uri(to_square(Pillow.open(path).convert("RGB"), SIZE)) for path in paths]
    classes = [f"class {number:03}" for number in range(CLASSES)]
    images = [
        Image(
            sha256=f"{i:064x}",
            paths=[f"train/{classes[i % CLASSES]}/{i:05}.jpg"],
            split="train",
            labels=[classes[i % CLASSES]],
            place=i,
            predicted=classes[(i + 1) % CLASSES],
            probability=0.8,
            reasons=[(list(KINDS)[i * len(KINDS) // IMAGES], "The model says another class.")],
            suggested=classes[(i + 1) % CLASSES],
        )
        for i in range(IMAGES)
    ]
    pictures = [small[i % len(small)] for i in range(IMAGES)]
    return page(contents_of(images, [], classes), pictures, "photographs", "corrections.csv")


def main() -> None:
    html = big_page(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "review.html")
        path.write_text(html, encoding="utf-8")
        with opened(path) as shown:
            loaded = shown.evaluate("() => performance.getEntriesByType('navigation')[0].domComplete")
            print(f"{len(html.encode()) / 1e6:.0f} MB, loaded in {loaded / 1000:.1f} s")
            shown.evaluate(WATCH)
            for i in range(KEYS):
                shown.keyboard.press("kx2us"[i % 5])
                shown.wait_for_timeout(100)
            for name, spent in shown.evaluate("() => spent").items():
                middle, nearly_all = np.quantile(spent, [0.5, 0.95])
                print(f"{name}: median {middle:.1f} ms, 95 % {nearly_all:.1f}, most {max(spent):.1f}")
            assert shown.locator("#done").inner_text() == str(KEYS)


if __name__ == "__main__":
    main()
