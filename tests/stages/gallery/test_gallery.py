"""Which images are chosen, and what the stage writes of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from plumbline.results.predictions_file import PREDICTIONS
from plumbline.run.errors import UserError
from plumbline.run.outputs import write_csv, write_json
from plumbline.run.paths import BACKBONE, CURVATURE, HISTORY
from stages.evaluate import __main__ as evaluate
from stages.gallery import __main__ as gallery
from stages.gallery.chosen_images import LEAST_SURE, MOST_SURE, MOST_WRONG, chosen
from stages.gallery.saliency import overlay
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set
from tests.support.models import CURVATURES, write_random_model


def predictions(split: str, correct: list[int], probability: list[float]) -> pd.DataFrame:
    loss = [-np.log(p if right else 1 - p) for right, p in zip(correct, probability, strict=True)]
    paths = [f"{split}/{i}" for i in range(len(correct))]
    return pd.DataFrame({"split": split, "path": paths, "correct": correct, "probability": probability, "loss": loss})


def test_the_rows_are_the_worst_mistakes_the_narrowest_and_the_widest_decisions_and_no_image_twice() -> None:
    table = predictions("test", [1, 0, 0, 1, 1, 0, 1, 1], [0.9, 0.6, 0.95, 0.55, 0.99, 0.51, 0.6, 0.97])
    found = chosen(pd.concat([predictions("val", [0], [0.9]), table]).reset_index(drop=True), 2)
    rows = {row: [path.removeprefix("test/") for path in own["path"]] for row, own in found.groupby("row")}
    assert rows == {MOST_WRONG: ["2", "1"], LEAST_SURE: ["5", "3"], MOST_SURE: ["4", "7"]}


def test_without_a_test_split_it_is_val_and_few_images_are_shown_once() -> None:
    found = chosen(predictions("val", [1, 1, 0], [0.9, 0.8, 0.7]), 6)
    assert found["path"].to_list() == ["val/2", "val/1", "val/0"]


def test_the_overlay_shows_heat_by_brightness_and_nothing_where_there_is_none() -> None:
    grey = np.full((32, 32, 3), 90, np.uint8)
    heat = np.zeros((32, 32))
    heat[:, 16:] = 1
    drawn = overlay(grey, heat).mean(axis=2)
    assert drawn[:, 24:].mean() > drawn[:, :8].mean() + 60
    assert np.ptp(overlay(grey, np.zeros((32, 32))).reshape(-1, 3), axis=0).max() == 0


@pytest.mark.medium
@pytest.mark.parametrize("names", [("ant", "bee"), ("<script>", "蜂")])
def test_every_row_has_its_images_and_a_second_run_gives_the_same_bytes(
    workspace: Workspace, names: tuple[str, str]
) -> None:
    workspace.set(data__root="images", image__resize=40, image__crop=33, gallery__images=2)
    write_data_set(Path("images"), images=5, classes=names)
    prepare.main()
    write_random_model(list(names))
    write_random_model(list(names), path=BACKBONE)
    write_json(CURVATURE, CURVATURES)
    write_csv(HISTORY, pd.DataFrame({"epoch": [0], "val_loss": [0.6], "val_accuracy": [0.5]}))
    evaluate.main()
    gallery.main()
    table = pd.read_csv(gallery.GALLERY / gallery.TABLE)
    predicted = pd.read_csv(PREDICTIONS).set_index("path")
    assert len(table) == 6
    for row in table.itertuples():
        assert (row.actual, row.predicted) == tuple(predicted.loc[row.path, ["actual", "predicted"]])
        with Image.open(Path("images") / row.path) as whole, Image.open(gallery.GALLERY / row.image) as shown:
            assert shown.size == (33, 33)
            # The prepared image is the whole one, scaled to 40 and cut; JPEG keeps its mean colour.
            means = [np.asarray(image.convert("RGB")).mean() for image in (whole, shown)]
            assert means[0] == pytest.approx(means[1], abs=12)
        with Image.open(gallery.GALLERY / row.saliency) as drawn:
            assert drawn.size == (33, 33)
    first = {path.name: path.read_bytes() for path in gallery.GALLERY.iterdir()}
    gallery.main()
    assert {path.name: path.read_bytes() for path in gallery.GALLERY.iterdir()} == first
    mistaken = pd.read_csv(PREDICTIONS)
    for column, value in (("predicted", "emu"), ("path", "val/emu/1.png"), ("split", "test")):
        write_csv(PREDICTIONS, mistaken.assign(**{column: value}))
        with pytest.raises(UserError, match="plots/predictions.csv has .*, which is not in this run"):
            gallery.main()
    write_csv(PREDICTIONS, mistaken.drop(columns="loss"))
    with pytest.raises(UserError, match="plots/predictions.csv has no column loss"):
        gallery.main()
    write_csv(PREDICTIONS, mistaken[:0])
    with pytest.raises(UserError, match="plots/predictions.csv has no image of val or test"):
        gallery.main()
