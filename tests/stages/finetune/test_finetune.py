"""Problem 4: the homework's loop is the oracle; what is written; what is refused."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import torchvision
from torch import nn
from torchvision import transforms
from torchvision.datasets import ImageFolder

from plumbline.model.model_file import read_model
from plumbline.params.all import AllParams
from plumbline.run import params_file
from plumbline.run.certificates import certificate
from plumbline.run.errors import UserError
from stages.finetune import __main__ as finetune
from stages.finetune.interruption import Interruption
from stages.finetune.optimiser_and_schedule import build_optimiser
from stages.finetune.run_state import Run
from stages.finetune.training_loop import train
from stages.finetune.training_setup import read_setup
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set
from tests.stages.finetune.conftest import pass_checks
from tests.support.homework import MEAN, STD, homeworks_loop
from tests.support.models import SMALL


@pytest.mark.slow
@pytest.mark.trained_numbers
@pytest.mark.parametrize(
    ("architecture", "resize", "crop", "images", "batch", "epochs"),
    [("resnet34", 256, 224, 3, 4, 2), ("resnet18", 64, 48, 11, 4, 3)],  # the last batches are smaller
)
def test_every_phase_agrees_with_the_homeworks_loop_to_1e_5(
    workspace: Workspace, architecture: str, resize: int, crop: int, images: int, batch: int, epochs: int
) -> None:
    workspace.set(data__root="images", image__resize=resize, image__crop=crop)
    workspace.set(finetune__epochs=epochs, finetune__batch_size=batch, finetune__precision="float32")
    write_data_set(Path("images"), images=images)
    prepare.main()
    torch.manual_seed(0)
    network = torchvision.models.get_model(architecture, num_classes=2)
    start = {key: value.clone() for key, value in network.state_dict().items()}
    torch.manual_seed(1)
    orders = [torch.randperm(2 * images).tolist() for _ in range(epochs)]
    theirs = homeworks_loop(network, orders, resize, crop, batch)
    network.load_state_dict(start)
    torch.manual_seed(1)
    setup = read_setup(params_file.load(AllParams), architecture)
    run = Run(network, build_optimiser(network, setup.recipe))
    train(run, setup, save=lambda: None, interruption=Interruption())
    ours = pd.DataFrame(run.progress.history)
    assert ours["epoch"].to_list() == list(range(epochs))
    difference = (ours[theirs.columns] - theirs).abs()
    assert difference.to_numpy().max() <= 1e-5, f"\n{ours}\n{theirs}"


@pytest.mark.medium
def test_history_metrics_and_model_say_the_same(ready: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    finetune.main()
    history = pd.read_csv("plots/history.csv")
    metrics = json.loads(Path("metrics/finetune.json").read_text())
    assert list(history) == ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert metrics["epochs"] == len(history) == 2
    for key in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        assert metrics[key] == history[key].iloc[-1]
    lines = capsys.readouterr().out.splitlines()
    first = history.iloc[0]
    assert lines[-4] == f"Epoch:0 -- Phase:train -- Loss:{first.train_loss:.2f} -- Acc:{100 * first.train_accuracy:.2f}"
    assert lines[-3].startswith("Epoch:0 -- Phase:val -- Loss:")
    model = read_model(Path("models/finetuned.safetensors"))
    assert model.classes == ["ant", "bee"]
    assert (model.architecture, model.transform.crop) == (SMALL, 33)
    assert model.parameters["finetune"]["epochs"] == 2


@pytest.mark.medium
def test_the_model_that_is_written_is_the_one_that_was_validated_last(ready: Workspace) -> None:
    ready.set(finetune__precision="float32")
    finetune.main()
    network = read_model(Path("models/finetuned.safetensors")).network().eval()
    transform = transforms.Compose(
        [transforms.Resize(40), transforms.CenterCrop(33), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )
    data = ImageFolder("images/val", transform)
    with torch.no_grad():
        logits = network(torch.stack([image for image, _ in data]))
    loss = nn.functional.cross_entropy(logits, torch.tensor(data.targets)).item()
    assert json.loads(Path("metrics/finetune.json").read_text())["val_loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
@pytest.mark.trained_numbers
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(ready: Workspace) -> None:
    def run(seed: int) -> tuple[bytes, ...]:
        ready.set(seed=seed)
        finetune.main()
        paths = ("models/finetuned.safetensors", "plots/history.csv", "metrics/finetune.json")
        return tuple(Path(path).read_bytes() for path in paths)

    first = run(0)
    assert run(0) == first
    assert run(1)[1] != first[1]


def test_a_missing_certificate_and_a_missing_model_stop_the_run_before_it_starts(ready: Workspace) -> None:
    for stage in finetune.CHECKS:
        certificate(stage).unlink()
        with pytest.raises(UserError, match=f"there is no data/certificates/{stage}.txt: `dvc repro` runs the check"):
            finetune.main()
        pass_checks()
    shutil.rmtree("models")
    with pytest.raises(UserError, match="there is no model file models/backbone.safetensors"):
        finetune.main()


@pytest.mark.medium
def test_a_loss_that_is_not_finite_ends_the_run_with_one_line_and_no_model(ready: Workspace) -> None:
    ready.set(finetune__lr=1e30, finetune__precision="float32")
    with pytest.raises(
        UserError,
        match=r"diverged: the .* of epoch \d, batch \d, is .* at a learning rate of 1e\+30, on .*/\d.png and 1 more; lower",
    ):
        finetune.main()
    assert not Path("models/finetuned.safetensors").exists()
    assert not Path("plots/history.csv").exists()


@pytest.mark.medium
def test_a_val_loss_that_is_not_finite_ends_the_run_and_its_line_does_not_call_the_checkpoint_good(
    ready: Workspace,
) -> None:
    # The epoch's one update has a finite loss, and makes the weights huge; they are saved before val is computed.
    ready.set(finetune__lr=1e30, finetune__precision="float32", finetune__batch_size=10, finetune__checkpoint_steps=1)
    with pytest.raises(
        UserError, match=r"diverged: the val loss of epoch 0 is .* at a learning rate of 1e\+30; lower"
    ) as raised:
        finetune.main()
    line = "the state that was saved last, whose weights may have diverged too, is (.*state.pt)$"
    saved = torch.load(re.search(line, str(raised.value))[1], weights_only=True)["network"]
    assert max(value.abs().max().item() for value in saved.values()) > 1e20
