"""Hold `finetune.lr` and `finetune.weight_decay` = 2 lambda to the homework's bound, (d)."""

from plumbline.errors import UserError
from stages.weight_decay.updates import shrink_factor, step_size_limit


def refuse_unstable_run(lr: float, weight_decay: float) -> None:
    """Refuse a run whose shrink factor is not positive. Without weight decay it is 1, and nothing shrinks."""
    lambda_ = weight_decay / 2
    if shrink_factor(lr, lambda_) <= 0:
        raise UserError(
            f"finetune.lr is {lr:g}, too large for finetune.weight_decay {weight_decay:g}: each update would "
            f"multiply the weights by {shrink_factor(lr, lambda_):g}; set it below {step_size_limit(lambda_):g}"
        )
