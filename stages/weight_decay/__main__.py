"""Problem 3: weight decay, as a penalty in the loss, as a shrinking of the weights, and in torch's SGD.

The three forms give the same trajectory, also with momentum; a shrinking beside the step of momentum or of Adam differs
from the penalty. The bound of (d) is checked on torch's updates and compared with the sharp bound, which is found by
running updates. It is then applied to `finetune.lr` and `finetune.weight_decay`. Writes metrics/weight_decay.json, the
trajectories plots/weight_decay.csv, and for the report data/derivations/weight_decay.json. Training waits for its
certificate.
"""

from pathlib import Path

import torch

from plumbline.checks.claims import Checks, log10_error
from plumbline.checks.derivations import code_of
from plumbline.params.finetune import Finetune
from plumbline.params.weight_decay import WeightDecay
from plumbline.run import params_file
from plumbline.run.certificates import withdraw_certificate, write_certificate
from plumbline.run.errors import run
from plumbline.run.fields import Seed, SomeSections
from plumbline.run.outputs import write_csv, write_json
from stages.weight_decay.decoupling import check_decoupling
from stages.weight_decay.derivation import CheckResults, derive
from stages.weight_decay.recurrence import check_recurrence
from stages.weight_decay.stable_step_sizes import (
    check_bounds,
    check_larger_lambda,
    check_place_of_the_homeworks_bound,
    refuse_unstable_example,
    refuse_unstable_run,
    trajectories_at_the_bound,
)
from stages.weight_decay.updates import (
    check_factor,
    check_updates,
    sgd_step,
    shrink_factor,
    step_size_limit,
    trajectory_of_penalty,
    trajectory_of_shrinking,
)

METRICS = Path("metrics/weight_decay.json")
TRAJECTORIES = Path("plots/weight_decay.csv")
DERIVATION = Path("data/derivations/weight_decay.json")


class Params(SomeSections):
    seed: Seed
    weight_decay: WeightDecay
    finetune: Finetune


def main() -> None:
    withdraw_certificate("weight_decay")
    settings = params_file.load(Params)
    params, lr, weight_decay = settings.weight_decay, settings.finetune.lr, settings.finetune.weight_decay
    refuse_unstable_run(lr, weight_decay)
    refuse_unstable_example(params.alpha, params.lambda_)
    torch.manual_seed(settings.seed)
    torch.set_num_threads(1)  # vectors this small are slower on two
    checks = Checks()
    errors = check_updates(checks, params)
    check_factor(checks, params)
    differences = check_decoupling(checks, params)
    bounds = check_bounds(checks)
    check_place_of_the_homeworks_bound(checks)
    recurrence_errors = check_recurrence(checks)
    optima = check_larger_lambda(checks, params.lambda_)
    run_factor = shrink_factor(lr, weight_decay / 2)
    figures = f"finetune.lr {lr:g} and weight_decay {weight_decay:g} multiply by {run_factor:g}"
    checks.expect(0 < run_factor <= 1, "the run at hand shrinks its weights, if at all, by a positive factor", figures)
    checks.end()
    metrics = {
        "shrink_factor": shrink_factor(params.alpha, params.lambda_),
        "step_size_limit": step_size_limit(params.lambda_),
        "log10_max_relative_error": log10_error(max(errors.values())),
        "log10_max_bound_error": log10_error(max(bound.error for bound in bounds)),
        "adam_over_adamw_difference": differences.adam,
        "finetune_shrink_factor": run_factor,
        "finetune_lr_over_limit": lr * weight_decay,  # of 1 / (2 lambda); 0 without weight decay
    }
    results = CheckResults(errors, bounds, recurrence_errors, optima, differences)
    derived = derive(params, results)
    derived.code += code_of(shrink_factor, sgd_step, trajectory_of_penalty, trajectory_of_shrinking)
    derived.write(DERIVATION)
    write_csv(TRAJECTORIES, trajectories_at_the_bound())
    write_json(METRICS, metrics | checks.counts())
    write_certificate("weight_decay", checks.held)


if __name__ == "__main__":
    run(main)
