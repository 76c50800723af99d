"""Hold the step sizes in params.yaml to the homework's bound, (d): the example's and the run's at hand."""

from plumbline.run.errors import UserError
from stages.weight_decay.updates import shrink_factor, step_size_limit


def refuse_unstable_run(lr: float, weight_decay: float) -> None:
    """Refuse a run whose shrink factor is not positive. Without weight decay it is 1, and nothing shrinks."""
    lambda_ = weight_decay / 2
    if shrink_factor(lr, lambda_) <= 0:
        raise UserError(
            f"finetune.lr is {lr:g}, too large for finetune.weight_decay {weight_decay:g}: each update would "
            f"multiply the weights by {shrink_factor(lr, lambda_):g}; set it below {step_size_limit(lambda_):g}"
        )


def refuse_unstable_example(alpha: float, lambda_: float) -> None:
    """Refuse an example whose shrink factor is not positive."""
    if shrink_factor(alpha, lambda_) <= 0:
        raise UserError(
            f"weight_decay.alpha is {alpha:g}, and 1 / (2 weight_decay.lambda_) is {step_size_limit(lambda_):g}: "
            "set it below that"
        )
