"""What a run is set up from: the images, the recipe and the hardware, none of which changes during training.

`read_setup` reads what other stages wrote; `with_probe_head` fits the head that the recipe may ask for; `begin_run`
makes the network, with a new head, and its optimiser.
"""

import sys
from dataclasses import asdict, dataclass, replace

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from plumbline.data.prepared import read_classes, read_value_ranges
from plumbline.model.description import Description, Transform
from plumbline.model.head import replace_head
from plumbline.model.model_file import Model
from plumbline.model.networks import load_tensors
from plumbline.params.finetune import Augment, Finetune
from plumbline.params.image import Image
from plumbline.run.fields import Seed, SomeSections
from plumbline.training.device_and_precision import (
    Compute,
    choose_compute,
    make_repeatable,
    nondeterministic_operations,
)
from plumbline.training.model_fits_data import refuse_other_resizing
from plumbline.training.splits import Split, read_splits
from stages.finetune.distributed import SINGLE_PROCESS, Distributed
from stages.finetune.optimiser_and_schedule import build_optimiser
from stages.finetune.probe_head import ProbeHead, fit_probe_head
from stages.finetune.run_state import Run
from stages.finetune.sampling_order import balanced_weights, images_to_overfit
from stages.finetune.synchronised_batch_norm import synchronised

NO_CHANGES = Augment(flip=0.0, smallest_crop=None, policy="none", mixup=0.0, cutmix=0.0)
LARGEST_SHARE = 0.5  # of the GPU's free memory, that the images may take


class Params(SomeSections):
    seed: Seed
    image: Image
    finetune: Finetune


@dataclass(frozen=True)
class Setup:
    """The images, the network's kind, the recipe, and what computes."""

    train: Split
    val: Split
    architecture: str
    classes: int
    transform: Transform
    recipe: Finetune
    compute: Compute
    class_weights: torch.Tensor | None  # (classes,), on the device; None where all count alike
    distributed: Distributed = SINGLE_PROCESS
    probe_head: ProbeHead | None = None  # the one to begin with, where the recipe asks for it

    @property
    def steps_per_epoch(self) -> int:
        """Updates; the last of an epoch may have fewer images."""
        return -(-len(self.train.labels) // (self.recipe.batch_size * self.recipe.accumulate))


def read_setup(settings: Params, architecture: str, distributed: Distributed = SINGLE_PROCESS) -> Setup:
    """Read the prepared images, and join them with the recipe."""
    recipe, splits, classes = settings.finetune, read_splits(), len(read_classes())
    compute = choose_compute(recipe.precision)
    train, val = on_gpu_if_they_fit([splits["train"], splits["val"]], compute.device)
    weights = None
    if recipe.class_weights == "balanced":
        weights = balanced_weights(train.labels, classes).to(compute.device)
    transform = Transform(**settings.image.model_dump(), value_ranges=read_value_ranges())
    refuse_other_resizing(transform, "params.yaml says")
    setup = Setup(train, val, architecture, classes, transform, recipe, compute, weights, distributed)
    return setup_to_overfit(setup, settings.seed) if recipe.overfit_batches else setup


def with_weights_transform(settings: Params, backbone: Description) -> Params:
    """Return the settings with the weights' own values where section `image` says `pretrained`."""
    return settings.model_copy(update={"image": settings.image.filled_in(asdict(backbone.transform))})


def with_probe_head(setup: Setup, backbone: Model) -> Setup:
    """Return the setup with the probe's head, which the main process fits, if the recipe begins with it."""
    if setup.recipe.head != "probe":
        return setup
    make_repeatable(0, deterministic=setup.recipe.deterministic)  # nothing is drawn
    head = None
    if setup.distributed.is_main:
        balanced = "balanced" in (setup.recipe.class_weights, setup.recipe.sampler)
        with nondeterministic_operations([]):
            splits = {"train": setup.train, "val": setup.val}
            head = fit_probe_head(backbone, splits, setup.transform, balanced=balanced)
    received = setup.distributed.broadcast(head and replace(head, features={}))
    return replace(setup, probe_head=head or received)


def begin_run(setup: Setup, backbone: Model, seed: int) -> Run:
    """Seed torch, and return the pre-trained network with a new head, before its first update.

    All processes begin with the same weights; what they draw from then on, dropout for one, is each one's own.
    """
    make_repeatable(seed, deterministic=setup.recipe.deterministic)
    network = replace_head(backbone.architecture, backbone.tensors, setup.classes, crop=setup.transform.crop)
    if setup.probe_head is not None:
        load_tensors(network, setup.probe_head.tensors)
    network = setup.compute.place(network)
    if setup.distributed.world_size > 1:
        network = network if setup.recipe.freeze_statistics else synchronised(network)
        if not setup.distributed.is_main:  # the main one goes on, and draws the orders
            torch.manual_seed(seed_of_process(seed, setup.distributed.rank))
    ema = None if setup.recipe.ema is None else moving_average(network, setup.recipe.ema)
    return Run(network, build_optimiser(network, setup.recipe), ema)


def seed_of_process(seed: int, rank: int) -> int:
    """Return the seed of one of several processes: far from those of other processes and of other runs' seeds."""
    generator = torch.Generator().manual_seed(seed)
    return int(torch.randint(2**63 - 1, (rank + 1,), generator=generator)[rank])


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """Return the exponential moving average of a network's weights and statistics, from its first update on.

    Whole numbers, such as the index by which Swin's attention finds its biases, are the network's own.
    """

    def move(averages: list[torch.Tensor], values: list[torch.Tensor], _: torch.Tensor) -> None:
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, 1 - decay)
        else:
            torch._foreach_copy_(averages, values)

    return AveragedModel(network, multi_avg_fn=move, use_buffers=True)


def setup_to_overfit(setup: Setup, seed: int) -> Setup:
    """Return a setup that trains and validates on the same few images, unchanged: a loss that stays is a bug."""
    recipe = setup.recipe.model_copy(update={"augment": NO_CHANGES})
    images = recipe.overfit_batches * recipe.batch_size
    few = part_of_split(setup.train, images_to_overfit(setup.train.labels, images, seed))
    print(
        f"warning: finetune.overfit_batches is {recipe.overfit_batches}: trains and validates on the same "
        f"{len(few.labels)} images, for debugging; the result is not meaningful",
        file=sys.stderr,
    )
    return replace(setup, train=few, val=few, recipe=recipe)


def part_of_split(split: Split, indices: torch.Tensor) -> Split:
    """Return the images with these indices."""
    chosen = indices.tolist()
    paths, hashes = ([values[i] for i in chosen] for values in (split.paths, split.sha256))
    return Split(split.images[indices], split.labels[indices], paths, hashes)


def on_gpu_if_they_fit(splits: list[Split], device: torch.device) -> list[Split]:
    """Return the splits with their pixels on the GPU if they fit; else, and without a GPU, where they are."""
    size = sum(split.images.nbytes for split in splits)
    if device.type != "cuda" or size > LARGEST_SHARE * torch.cuda.mem_get_info(device)[0]:
        return splits
    return [replace(split, images=split.images.to(device)) for split in splits]
