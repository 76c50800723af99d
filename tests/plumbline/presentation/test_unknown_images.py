"""What the report and the card say of unknown images: what was measured, or that nothing can be rejected."""

from plumbline.presentation.unknown_images import unknown_images
from plumbline.results.measures_file import Measure

AREAS = {("test", f"auroc_{kind}"): Measure(0.9, 100) for kind in ("unknown", "inverted", "noise")}
SHARES = {
    ("test", "rejected"): Measure(0.04, 273, 0.02, 0.07),
    ("test", "rejected_unknown"): Measure(0.78, 100, 0.68, 0.86),
    ("test", "rejected_inverted"): Measure(1.0, 100, 0.96, 1.0),
    ("test", "rejected_noise"): Measure(0.0, 90, 0.0, 0.04),
}


def test_it_says_the_shares_with_their_intervals() -> None:
    assert unknown_images(AREAS | SHARES, "test", 0.95, "data/digits-source", "digits") == (
        "The model calls an image unknown if its features are far from those of the training images. It does so for "
        "4.0% (2.0% to 7.0%) of 273 test images (the aim is at most 5.0%), 78.0% (68.0% to 86.0%) of 100 images of "
        "data/digits-source, on which the network was pre-trained, 100% (96.0% to 100%) of 100 test images with "
        "inverted colours, and 0% (0% to 4.0%) of 90 images of noise."
    )
    for folder, weights in (("data/digits-source", "imagenet"), ("others", "digits")):
        assert "pre-trained" not in unknown_images(AREAS | SHARES, "test", 0.95, folder, weights)


def test_without_a_folder_nothing_is_said_of_its_images() -> None:
    measures = {key: own for key, own in (AREAS | SHARES).items() if not key[1].endswith("_unknown")}
    assert unknown_images(measures, "test", 0.95, None, "digits").endswith(
        "(the aim is at most 5.0%), 100% (96.0% to 100%) of 100 test images with inverted colours, and 0% (0% to 4.0%) of "
        "90 images of noise."
    )


def test_without_a_test_split_nothing_is_said_of_known_images() -> None:
    measures = {("val", name): own for (_, name), own in (AREAS | SHARES).items() if name != "rejected"}
    assert "It does so for 78.0% (68.0% to 86.0%) of 100 images of x," in unknown_images(
        measures, "val", 0.95, "x", "none"
    )


def test_too_few_val_images_and_a_model_without_a_score_are_told_apart() -> None:
    assert unknown_images(AREAS, "test", 0.95, "x", "none") == (
        "No image can be called unknown: val has too few images to keep 95.0% of the known ones."
    )
    assert unknown_images({}, "test", 0.95, "x", "none") is None
