"""What the report and the card say of prediction sets."""

from plumbline.presentation.prediction_sets import prediction_sets
from plumbline.results.measures_file import Measure

SHARE, SIZE = Measure(0.97, 273, 0.94, 0.99), Measure(1.25, 273, 1.1, 1.4)


def test_it_says_the_share_and_the_size_with_their_intervals() -> None:
    measures = {("test", "set_coverage"): SHARE, ("test", "set_size"): SIZE}
    assert prediction_sets(measures, "test", 0.95) == (
        "Sets of classes that are to hold the true one of 95.0% of images, as tools.predict --coverage gives them, hold "
        "it of 97.0% (94.0% to 99.0%) of 273 test images. A set has 1.25 (1.10 to 1.40) classes on average."
    )
    alone = measures | {("test", "set_size"): SIZE._replace(low=None, high=None)}  # all images belong together
    assert prediction_sets(alone, "test", 0.95).endswith("A set has 1.25 classes on average.")


def test_where_nothing_was_measured_nothing_is_said() -> None:
    assert prediction_sets({}, "val", 0.95) is None
