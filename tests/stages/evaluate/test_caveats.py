"""The learning rate is compared with the limit that the curvature sets; few mistakes are named."""

import numpy as np
import pytest

from stages.evaluate.caveats import lr_over_curvature_limit, print_few_mistakes
from stages.evaluate.predictions import Predictions
from tests.stages.evaluate.conftest import from_logits

SGD = {"optimiser": "sgd", "freeze": None, "lr": 0.001, "momentum": 0.9, "weight_decay": 0.0}


@pytest.mark.parametrize(("lr", "share"), [(0.019, 0.5), (0.076, 2.0)])
def test_a_learning_rate_beyond_what_the_curvature_allows_is_warned_about(
    capsys: pytest.CaptureFixture[str], lr: float, share: float
) -> None:
    # The limit is 2 (1 + 0.9) / 100 = 0.038.
    assert lr_over_curvature_limit(SGD | {"lr": lr}, curvature=100.0) == pytest.approx(share)
    warned = "2 times the largest step size that is stable where training starts, 0.038" in capsys.readouterr().err
    assert warned == (share > 1)


def test_adam_and_frozen_layers_have_no_limit_from_the_curvature() -> None:
    for change in ({"optimiser": "adam"}, {"optimiser": "adamw"}, {"freeze": "layer4"}):
        assert lr_over_curvature_limit(SGD | change, curvature=100.0) is None


def test_it_says_on_which_splits_there_are_too_few_mistakes_for_the_bootstrap(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def with_mistakes(mistakes: int) -> Predictions:
        return from_logits(np.zeros(20, int), np.eye(2)[[1] * mistakes + [0] * (20 - mistakes)])

    print_few_mistakes({"train": with_mistakes(0), "val": with_mistakes(9), "test": with_mistakes(10)})
    assert capsys.readouterr().out.startswith("few mistakes (val 9): the bootstrap intervals there are too narrow")
    print_few_mistakes({"val": with_mistakes(10)})
    assert capsys.readouterr().out == ""
