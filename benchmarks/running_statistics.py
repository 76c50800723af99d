"""Why val accuracy lags behind train accuracy in the first epochs: batch normalisation's running statistics.

Trains by the recipe of params.yaml. After each epoch val is evaluated twice: with the running mean and variance as
training left them, and with those of all training images under the weights of that moment. Everything else is the same.
The training images are evaluated with the former too: what lags there is not a want of generalisation.
Needs data/prepared and models/backbone.safetensors of a finished run.

    python -m benchmarks.running_statistics [--epochs 8] [--seed 0]
"""

import argparse
import copy

import torch
from torch import nn

from plumbline.model.model_file import read_model
from plumbline.run import params_file
from plumbline.run.paths import BACKBONE
from plumbline.training.loss_and_accuracy import PhaseResult, evaluate
from stages.finetune import training_loop
from stages.finetune.interruption import Interruption
from stages.finetune.minibatches import Batches, in_order
from stages.finetune.training_setup import Params, Setup, begin_run, read_setup


def with_statistics_of_train(network: nn.Module, setup: Setup, part: training_loop.TrainedPart) -> nn.Module:
    """Return a copy whose running mean and variance are those of the training images, in one pass over them."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean over the batches, each with the same weight
    network.train()
    with torch.no_grad(), setup.compute.autocast():
        for inputs, _ in in_order(part.train, torch.arange(len(setup.train.labels)), setup.recipe.batch_size):
            network(inputs)
    return network


def evaluated(network: nn.Module, setup: Setup, batches: Batches, images: int) -> PhaseResult:
    """Return the mean loss and the accuracy on the images of a split."""
    return evaluate(
        network, in_order(batches, torch.arange(images), setup.compute.evaluation_batch_size), setup.compute
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = params_file.load(Params)
    recipe = settings.finetune.model_copy(update={"epochs": options.epochs, "checkpoint_steps": 0})
    settings = settings.model_copy(update={"finetune": recipe})
    backbone = read_model(BACKBONE)
    setup = read_setup(settings, backbone.architecture)
    train_again, val_again = [], []

    def evaluate_again(setup: Setup, part: training_loop.TrainedPart, check: object) -> PhaseResult:
        train_again.append(evaluated(part.validated, setup, part.train, len(setup.train.labels)))
        other = with_statistics_of_train(part.validated, setup, part)
        val_again.append(evaluated(other, setup, part.val, len(setup.val.labels)))
        return evaluated(part.validated, setup, part.val, len(setup.val.labels))

    training_loop.val_phase = evaluate_again
    run = begin_run(setup, backbone, options.seed)
    with Interruption(setup.distributed, setup.compute.device) as interruption:
        training_loop.train(run, setup, lambda: None, interruption)
    print("       in training  in evaluation mode     in evaluation mode, statistics of all training images")
    print("epoch  train        train  val             val")
    for row, train, val in zip(run.progress.history, train_again, val_again, strict=True):
        accuracies = row["train_accuracy"], train.accuracy, row["val_accuracy"], val.accuracy
        print("{:5}  {:.3f}        {:.3f}  {:.3f}           {:.3f}".format(row["epoch"], *accuracies))


if __name__ == "__main__":
    main()
