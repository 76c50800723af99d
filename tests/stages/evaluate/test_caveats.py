"""The learning rate is compared with the limit that the curvature sets; few mistakes are named."""

import numpy as np
import pytest

from stages.evaluate.caveats import lr_over_curvature_limit, print_few_mistakes
from stages.evaluate.predictions import Predictions
from tests.stages.evaluate.conftest import from_logits
from tests.support.models import RECIPE

CURVATURES = {"largest_curvature": 100.0, "largest_curvature_low": 50.0, "largest_curvature_high": 200.0}


@pytest.mark.parametrize(("lr", "share"), [(0.019, 0.5), (0.038, 1.0), (0.076, 2.0), (0.152, 4.0)])
def test_a_learning_rate_beyond_what_the_curvature_of_every_draw_allows_is_warned_about(
    capsys: pytest.CaptureFixture[str], lr: float, share: float
) -> None:
    # The limit at a curvature of 100 is 2 (1 + 0.9) / 100 = 0.038.
    found = lr_over_curvature_limit(RECIPE | {"lr": lr}, CURVATURES, images=7)
    assert found == pytest.approx((share, 7, share / 2, share * 2))
    warned = "0.152, 2 to 8 times the largest step size that is stable where training starts" in capsys.readouterr().err
    assert warned == (share > 2)


def test_what_the_curvature_was_not_measured_for_has_no_limit() -> None:
    for change in (
        {"optimiser": "adam"},
        {"optimiser": "adamw"},
        {"freeze": "layer4"},
        {"class_weights": "balanced"},
        {"label_smoothing": 0.1},
        {"sampler": "balanced"},
        {"augment": {"mixup": 0.2, "cutmix": 0.0}},
    ):
        assert lr_over_curvature_limit(RECIPE | change, CURVATURES, images=7) is None


def test_it_says_on_which_splits_there_are_too_few_mistakes_for_the_bootstrap(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def with_mistakes(mistakes: int) -> Predictions:
        return from_logits(np.zeros(20, int), np.eye(2)[[1] * mistakes + [0] * (20 - mistakes)])

    print_few_mistakes({"train": with_mistakes(0), "val": with_mistakes(9), "test": with_mistakes(10)})
    assert capsys.readouterr().out.startswith("few mistakes (val 9): the bootstrap intervals there are too narrow")
    print_few_mistakes({"val": with_mistakes(10)})
    assert capsys.readouterr().out == ""
