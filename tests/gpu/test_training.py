"""Training on a GPU: the homework's loop is the oracle; runs repeat to the byte; every family of networks trains."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
import torchvision

from plumbline.model.description import Transform
from plumbline.model.model_file import Model
from plumbline.model.networks import build_network
from plumbline.params.all import AllParams
from plumbline.run import params_file
from plumbline.training.device_and_precision import (
    Compute,
    choose_compute,
    make_repeatable,
    nondeterministic_operations,
)
from plumbline.training.inference import logits_of
from plumbline.training.loss_and_accuracy import classify
from plumbline.training.network_input import to_input
from plumbline.training.splits import Split
from stages.finetune import __main__ as finetune
from stages.finetune import training_setup
from stages.finetune.interruption import Interruption
from stages.finetune.optimiser_and_schedule import build_optimiser
from stages.finetune.run_state import Run
from stages.finetune.training_loop import train
from stages.finetune.training_setup import Setup, begin_run, on_gpu_if_they_fit, read_setup
from stages.prepare import __main__ as prepare
from stages.weights import __main__ as weights
from tests.conftest import Workspace, write_data_set
from tests.support.forked import finish, start
from tests.support.hold import Hold
from tests.support.homework import MEAN, STD, homeworks_loop
from tests.support.together import STAGE, written

FLOAT32, BFLOAT16 = 2.0**-24, 2.0**-9  # by which rounding changes a number, relative to it
SEVERAL_GENERATORS = {  # crops and mixing draw from the processor's, dropout from the GPU's
    "weights__architecture": "mobilenet_v3_small",
    "finetune__augment__smallest_crop": 0.5,
    "finetune__augment__flip": 0.5,
    "finetune__augment__mixup": 0.2,
    "finetune__ema": 0.5,
    "finetune__keep": "best",
}
ONE_OF_EACH_FAMILY = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3",
    "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18",
    "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "swin_v2_t", "vgg11_bn", "vit_b_32",
    "wide_resnet50_2",
]  # fmt: skip


@pytest.mark.gpu
def test_the_networks_inputs_are_bit_for_bit_the_processors() -> None:
    every_value = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(-1, -1, -1, 3)
    transform = Transform(16, 16, MEAN, STD)
    assert torch.equal(to_input(every_value.to("cuda"), transform).cpu(), to_input(every_value, transform))


# Rounding grows from update to update, over three epochs by some ten thousand times. TF32 rounds by 8192 times as much.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "precision", "epochs", "bound"),
    [
        pytest.param("cpu", "float64", 3, 1e-9, id="cpu-float64"),
        pytest.param("cuda", "float32", 1, 2000 * FLOAT32, id="cuda-float32", marks=pytest.mark.gpu),
        pytest.param("cuda", "float64", 3, 1e-9, id="cuda-float64", marks=pytest.mark.gpu),
    ],
    indirect=["device"],
)
def test_every_phase_agrees_with_the_homeworks_loop(
    workspace: Workspace, device: str, precision: str, epochs: int, bound: float
) -> None:
    resize, crop, images, batch = 64, 48, 11, 4  # the last batches are smaller
    workspace.set(data__root="images", image__resize=resize, image__crop=crop)
    workspace.set(finetune__epochs=epochs, finetune__batch_size=batch, finetune__precision=precision)
    write_data_set(Path("images"), images=images)
    prepare.main()
    setup = read_setup(params_file.load(AllParams), "resnet18")
    make_repeatable(0)
    network = setup.compute.place(torchvision.models.resnet18(num_classes=2))
    begin = {key: value.clone() for key, value in network.state_dict().items()}
    torch.manual_seed(1)
    orders = [torch.randperm(2 * images).tolist() for _ in range(epochs)]
    theirs = homeworks_loop(network, orders, resize, crop, batch, device)
    network.load_state_dict(begin)
    torch.manual_seed(1)
    run = Run(network, build_optimiser(network, setup.recipe))
    train(run, setup, save=lambda: None, interruption=Interruption())
    ours = pd.DataFrame(run.progress.history)
    difference = (ours[theirs.columns] - theirs).abs().to_numpy().max()
    assert difference <= bound, f"\n{ours}\n{theirs}"


def test_float32_on_the_device_rounds_as_float32_does(device: str) -> None:
    compute = choose_compute("float32")
    assert compute.device.type == device
    layers = {
        torch.nn.Conv2d(64, 64, 3): torch.randn(4, 64, 20, 20),
        torch.nn.Linear(512, 512): torch.randn(64, 512),
    }
    for layer, values in layers.items():
        with torch.no_grad():
            exact = layer.double()(values.double())
            found = compute.place(layer)(values.to(device)).cpu()
        assert (found - exact).norm() <= 16 * FLOAT32 * exact.norm()  # of 576 products a sum: the square root, as noise


def test_in_bfloat16_the_loss_and_the_gradient_are_those_of_float32_but_for_rounding(device: str) -> None:
    make_repeatable(0)
    weights = build_network("resnet18", 3).state_dict()
    images = torch.randint(0, 256, (16, 72, 72, 3), dtype=torch.uint8)
    labels = torch.randint(0, 3, (16,), device=device)
    losses, gradients = [], []
    for precision in (torch.float32, torch.bfloat16):
        compute = Compute(torch.device(device), precision)
        network = build_network("resnet18", 3)
        network.load_state_dict(weights)
        network = compute.place(network).train()
        inputs = to_input(images.to(device), Transform(72, 64, MEAN, STD))
        _, loss = classify(network, inputs, labels, compute)
        loss.backward()
        losses.append(loss.item())
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in network.parameters()]))
    assert losses[1] == pytest.approx(losses[0], rel=16 * BFLOAT16)
    assert losses[1] != losses[0]
    assert torch.cosine_similarity(*gradients, dim=0) > 0.9


@pytest.mark.gpu
@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_wherever_the_images_lie(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.set(**SEVERAL_GENERATORS)
    weights.main()
    runs = []
    for share in (0.5, 0.5, 0.0):  # of the GPU's memory, for the images: they fit, and do not
        monkeypatch.setattr(training_setup, "LARGEST_SHARE", share)
        finetune.main()
        runs.append(written())
    assert runs[1] == runs[0]
    assert runs[2] == runs[0]


@pytest.mark.gpu
def test_images_lie_on_the_gpu_if_they_take_half_of_what_is_free_or_less(monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(torch.zeros(2, 10, 10, 3, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), ["a", "b"], ["", ""])
    for free, kind in ((1200, "cuda"), (1199, "cpu")):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10**6))
        (placed,) = on_gpu_if_they_fit([split], torch.device("cuda"))
        assert placed.images.device.type == kind


@pytest.mark.gpu
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(eleven: Workspace, tmp_path: Path) -> None:
    eleven.set(**SEVERAL_GENERATORS, finetune__epochs=3, finetune__checkpoint_steps=2)
    weights.main()
    finish(start(STAGE))
    wanted = written()
    hold = Hold(
        tmp_path / "hold", "state.partial.pt", skip=10
    )  # a save opens it twice: in the sixth save, of the second epoch
    with subprocess.Popen([sys.executable, "-m", STAGE], env=os.environ | hold.environment()) as process:
        hold.wait(process)
        process.kill()
    assert "resuming in epoch 1" in finish(start(STAGE))
    assert written() == wanted


SMALLEST_CROP = {"inception_v3": 96, "maxvit_t": 224, "vit_b_32": 224}  # pixels; the others take 64
NONDETERMINISTIC = {"alexnet", "vgg11_bn"}  # on a GPU, by their pooling


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "architecture"),
    [
        ("cpu", "shufflenet_v2_x0_5"),  # compares the processor with itself: it tries this test's own code
        *(pytest.param("cuda", name, marks=pytest.mark.gpu) for name in ONE_OF_EACH_FAMILY),
    ],
    indirect=["device"],
)
def test_every_family_trains_and_is_evaluated_as_on_the_processor(
    device: str, architecture: str, workspace: Workspace
) -> None:
    setup = setup_of_noise(architecture, device)
    backbone = Model(
        architecture=architecture, classes=["a", "b"], transform=setup.transform, parameters={}, source="none", sha256="",
        tensors=build_network(architecture, 2).state_dict(),
    )  # fmt: skip
    run = begin_run(setup, backbone, seed=0)
    before = {key: value.clone() for key, value in run.network.named_parameters()}
    named = ["adaptive_avg_pool2d_backward_cuda"] if device == "cuda" and architecture in NONDETERMINISTIC else []
    if named:
        with pytest.raises(RuntimeError, match=f"{named[0]} does not have a deterministic"):
            train(run, setup, save=lambda: None, interruption=Interruption())
        setup = replace(setup, recipe=setup.recipe.model_copy(update={"deterministic": False}))
        run = begin_run(setup, backbone, seed=0)
    with nondeterministic_operations(run.progress.nondeterministic):
        train(run, setup, save=lambda: None, interruption=Interruption())
    assert run.progress.nondeterministic == named
    assert all(map(math.isfinite, run.progress.history[-1].values())), run.progress.history
    changed = [key for key, value in run.network.named_parameters() if not torch.equal(value, before[key])]
    assert len(changed) > len(before) / 2
    trained = replace(backbone, tensors={key: value.cpu() for key, value in run.kept_tensors().items()})
    found = {}
    for place in (device, "cpu"):
        compute = Compute(torch.device(place), torch.float32)
        images = setup.val.images.to(place)
        logits = logits_of(compute.place(trained.network()), images, setup.transform, compute)
        found[place] = logits.softmax(dim=1)
    assert (found[device] - found["cpu"]).abs().max() <= 1e-3


def setup_of_noise(architecture: str, device: str) -> Setup:
    """Return a setup with four images of noise in one batch, and two epochs.

    A vision transformer's head begins at zero: the first update changes nothing before it.
    """
    torch.manual_seed(0)
    crop = SMALLEST_CROP.get(architecture, 64)
    pixels = torch.randint(0, 256, (4, crop + 8, crop + 8, 3), dtype=torch.uint8)
    split = Split(pixels, torch.tensor([0, 1, 0, 1]), [f"{i}.png" for i in range(4)], [""] * 4)
    recipe = params_file.load(AllParams).finetune.model_copy(update={"epochs": 2, "batch_size": 4})
    compute = choose_compute(recipe.precision)
    assert compute.device.type == device
    train_split, val_split = on_gpu_if_they_fit([split, split], compute.device)
    return Setup(train_split, val_split, architecture, 2, Transform(crop + 8, crop, MEAN, STD), recipe, compute, None)
