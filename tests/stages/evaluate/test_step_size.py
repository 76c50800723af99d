"""The learning rate against the limit that the curvature sets."""

import pytest

from stages.evaluate.step_size import lr_metrics

SGD = {"optimiser": "sgd", "freeze": None, "lr": 0.001, "momentum": 0.9, "weight_decay": 0.0}


@pytest.mark.parametrize(("lr", "share"), [(0.019, 0.5), (0.076, 2.0)])
def test_a_learning_rate_beyond_what_the_curvature_allows_is_warned_about(
    capsys: pytest.CaptureFixture[str], lr: float, share: float
) -> None:
    # The limit is 2 (1 + 0.9) / 100 = 0.038.
    assert lr_metrics(SGD | {"lr": lr}, curvature=100.0) == {"lr_over_curvature_limit": pytest.approx(share)}
    warned = "2 times the largest step size that is stable where training starts, 0.038" in capsys.readouterr().err
    assert warned == (share > 1)


def test_adam_and_frozen_layers_have_no_limit_from_the_curvature() -> None:
    for change in ({"optimiser": "adam"}, {"optimiser": "adamw"}, {"freeze": "layer4"}):
        assert lr_metrics(SGD | change, curvature=100.0) == {}
