"""Hold the run's learning rate to the limit that the loss's curvature sets where training starts."""

import sys
from typing import Any

from plumbline.checks.stability import lr_over_limit


def lr_metrics(recipe: dict[str, Any], curvature: float) -> dict[str, float]:
    """Return, as a metric, the learning rate relative to the limit that the loss's curvature sets to SGD.

    `recipe` is section `finetune` of the parameters that the model carries. Prints a warning where the rate is beyond
    the limit. Adam and AdamW divide by the gradient's size, and know no such limit; with frozen layers the loss is
    curved less than was measured over all.
    """
    if recipe["optimiser"] != "sgd" or recipe["freeze"] is not None:
        return {}
    lr = recipe["lr"]
    share = lr_over_limit(lr, curvature, recipe["weight_decay"], recipe["momentum"])
    if share > 1:
        print(
            f"warning: finetune.lr is {lr:g}, {share:.2g} times the largest step size that is stable where "
            f"training starts, {lr / share:.2g}, for the loss has curvature {curvature:.3g} there",
            file=sys.stderr,
        )
    return {"lr_over_curvature_limit": share}
