"""How many images are called unknown: of known ones, of a folder, of negatives and of noise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest

from plumbline.model.description import Transform
from plumbline.model.unknown import UnknownScore
from plumbline.results.intervals import share_with_interval
from plumbline.run.errors import UserError
from stages.evaluate.unknown_images import MOST, images_in, line_of_unknown, p_values, spread, unknown_measures
from tests.conftest import write_image

TRANSFORM = Transform(40, 33, [0.5] * 3, [0.5] * 3)


def score_beside(distances: list[float]) -> UnknownScore:
    return UnknownScore(torch.zeros(1), torch.eye(1), torch.zeros(1, 1), torch.tensor(distances))


VAL = [float(i) for i in range(1, 20)]
UNKNOWN = {
    "unknown": torch.tensor([30.0, 18.0]),
    "inverted": torch.tensor([30.0, 31.0, 32.0, 1.0]),
    "noise": torch.tensor([50.0]),
}


def test_the_threshold_is_vals_whatever_test_holds() -> None:
    # Of val 1 to 19, an image is unknown above 19. All ten test images are: had test set the threshold, none would be.
    known = {"train": torch.tensor([0.5]), "val": torch.tensor(VAL), "test": torch.full((10,), 25.0)}
    clusters = dict.fromkeys(known)
    found = unknown_measures(score_beside(VAL), known, UNKNOWN, clusters, 0.95, 0.9)
    assert found["test", "rejected"] == share_with_interval(10, 10, 0.9)
    assert found["test", "rejected_unknown"] == share_with_interval(1, 2, 0.9)
    assert found["test", "rejected_inverted"] == share_with_interval(3, 4, 0.9)
    assert found["test", "rejected_noise"] == share_with_interval(1, 1, 0.9)
    # Of the pairs of a known image, all at 25, and another one: farther is 1 of 2, and 3 of 4.
    assert [found["test", f"auroc_{kind}"].value for kind in UNKNOWN] == pytest.approx([0.5, 0.75, 1.0])
    assert "1.000 of 10 known test images (the aim is at most 0.05), 0.500 of the" in line_of_unknown(
        found, "test", 0.95
    )


def test_inverted_images_belong_together_as_their_originals_do() -> None:
    # 200 known images in 20 clusters of ten, of which every second one is inverted; ten clusters are rejected whole.
    known = {"val": torch.tensor(VAL), "test": torch.full((200,), 2.0)}
    clusters = {"val": None, "test": np.repeat(np.arange(20), 10)}
    inverted = torch.where(torch.from_numpy(clusters["test"][spread(200)]) < 10, 25.0, 2.0)
    found = unknown_measures(score_beside(VAL), known, {"inverted": inverted}, clusters, 0.95, 0.95)
    measure, wanted = found["test", "rejected_inverted"], binomtest(10, 20).proportion_ci(0.95, "exact")
    assert (measure.value, measure.images) == (0.5, 100)
    assert (measure.low, measure.high) == pytest.approx((wanted.low, wanted.high), abs=0.03)


def test_without_a_test_split_nothing_is_said_of_known_images() -> None:
    known = {"train": torch.tensor([0.5]), "val": torch.tensor(VAL)}
    found = unknown_measures(score_beside(VAL), known, UNKNOWN, dict.fromkeys(known), 0.95, 0.95)
    assert ("val", "rejected") not in found
    assert found["val", "rejected_unknown"].value == 0.5
    assert line_of_unknown(found, "val", 0.95).startswith("called unknown: 0.500 of the unknown images")


def test_too_few_val_images_give_areas_alone_and_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    known = {"train": torch.tensor([0.5]), "val": torch.tensor(VAL[1:]), "test": torch.tensor([3.0])}
    found = unknown_measures(score_beside(VAL[1:]), known, UNKNOWN, dict.fromkeys(known), 0.95, 0.95)
    assert set(found) == {("test", f"auroc_{kind}") for kind in UNKNOWN}
    assert (
        "no image can be called unknown: to keep 0.95 of the known ones takes 19 val images" in capsys.readouterr().err
    )
    assert line_of_unknown(found, "test", 0.95) is None


def test_p_values_are_computed_in_parts() -> None:
    distances = torch.arange(2500) / 100
    wanted = [(1 + sum(own >= distance for own in VAL)) / 20 for distance in (distances * 0.9999).tolist()]
    assert p_values(score_beside(VAL), distances) == pytest.approx(wanted)


def test_a_folder_gives_some_images_as_prepare_makes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(MOST + 20):
        write_image(tmp_path / "a" / f"{i:03}.png", seed=i, size=(40, 40))
    found = images_in(tmp_path, TRANSFORM)
    assert found.shape == (MOST, 40, 40, 3)
    for place, number in ((0, 0), (MOST - 1, MOST + 19)):
        np.testing.assert_array_equal(found[place], np.asarray(Image.open(tmp_path / "a" / f"{number:03}.png")))
    assert capsys.readouterr().err == ""
    (tmp_path / "a" / "000.png").write_text("x")
    assert images_in(tmp_path, TRANSFORM).shape[0] == MOST - 1
    assert "1 of 100 files in" in capsys.readouterr().err


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        images_in(tmp_path / "none", TRANSFORM)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(UserError, match="none of the 1 files in .* that were tried is an image"):
        images_in(tmp_path, TRANSFORM)
    (tmp_path / "notes.txt").unlink()
    with pytest.raises(UserError, match="none of the 0 files"):
        images_in(tmp_path, TRANSFORM)


def test_without_a_folder_negatives_and_noise_are_measured_all_the_same() -> None:
    known = {"train": torch.tensor([0.5]), "val": torch.tensor(VAL), "test": torch.full((10,), 25.0)}
    kinds = {kind: UNKNOWN[kind] for kind in ("inverted", "noise")}
    found = unknown_measures(score_beside(VAL), known, kinds, dict.fromkeys(known), 0.95, 0.9)
    assert ("test", "rejected_unknown") not in found and found["test", "rejected_inverted"].value == 0.75
    assert line_of_unknown(found, "test", 0.95).endswith("the aim is at most 0.05), 0.750 inverted, 1.000 of noise")
