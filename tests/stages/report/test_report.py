"""The page's parts: numbers as text, tables, what is said of the result, and the same bytes twice."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, OneCycleLR, StepLR

from plumbline.params.all import AllParams
from plumbline.results.measures_file import Measure
from plumbline.results.tables import COLUMNS
from plumbline.run import params_file
from plumbline.run.dotted_keys import flat
from stages.report import __main__ as report
from stages.report.data_section import data_sentence
from stages.report.figures_and_tables import shown, table
from stages.report.fine_tuning_section import (
    HOMEWORKS_PARAMS,
    differences_from_homework,
    fine_tuning_answer,
    lag_of_val,
    share_of,
)
from stages.report.homework_section import weight_decay_figures
from stages.report.result_section import (
    baselines_sentence,
    headline,
    mistakes_sentence,
    slices_table,
    training_figures,
    training_sentences,
)
from tests.conftest import Workspace
from tests.stages.report.conftest import accuracies, results_of


def test_numbers_read_as_a_person_writes_them() -> None:
    values = [5133600, 0.0311, 1.0, 65536.0, None, "", "x", True]
    dash = "\N{EN DASH}"
    assert [shown(value) for value in values] == ["5,133,600", "0.0311", "1", "65,536", dash, dash, "x", "true"]


def test_a_long_table_says_what_it_leaves_out() -> None:
    made = table("t", ["name", "images"], [[f"class {i}", 1000 * i] for i in range(40)], most=30)
    assert len(made.rows) == 30
    assert made.left_out == "10 more rows are left out."
    assert made.rows[2] == ["class 2", "2,000"]
    assert made.numeric == [False, True]


def test_the_five_weakest_parts_of_the_final_split_are_shown_with_what_luck_would_do() -> None:
    rows = [("val", "side 9", 20, 0.1, 0.0, 0.3, 0.9, 0.001, 0.002)]
    rows += [("test", f"side {i}", 1000 + i, 0.5 + i / 10, 0.4, 0.99, 0.75, 0.01, 0.04) for i in range(6)]
    measures = {(split, "accuracy"): Measure(0.5, 9, 0.3, 0.7) for split in ("train", "val", "test")}
    slices = pd.DataFrame(rows, columns=COLUMNS["slices"])
    found = slices_table(results_of(measures, slices=slices))
    assert found.title == "Where the accuracy on test is lowest"
    assert found.rows[0] == ["side 0, 1,000 images", "0.500 [0.400, 0.990]", "0.750", "0.04"]
    assert [row[0] for row in found.rows] == [f"side {i}, {1000 + i:,} images" for i in range(5)]


def test_the_result_is_k_of_n_with_its_interval_on_test_or_else_on_val_with_a_warning() -> None:
    predictions = pd.DataFrame({"split": ["val"] * 4 + ["test"] * 3, "correct": [1, 1, 1, 0, 1, 1, 0]})
    doubts = pd.DataFrame({"path": ["x"]})
    val = accuracies("train", 1.0) | accuracies("val", 0.75)
    results = results_of(val, predictions=predictions, label_doubts=doubts)
    said = "3 of 4 val images are classified correctly: accuracy 75.0%, 97.5% interval 30.0% to 99.9%."
    assert headline(results, 0.975) == said
    assert baselines_sentence(results).endswith("There is no test split: the accuracy on val is optimistic.")
    results = results_of(val | accuracies("test", 2 / 3), predictions=predictions, label_doubts=doubts)
    said = "2 of 3 test images are classified correctly: accuracy 66.7%, 95% interval 30.0% to 99.9%."
    assert headline(results, 0.95) == said
    assert "optimistic" not in baselines_sentence(results)
    assert mistakes_sentence(results) == "1 of 3 test images is misclassified; 1 label over all splits may be wrong"


def test_the_data_are_summed_up_with_what_was_not_used() -> None:
    manifest = pd.DataFrame({"split": ["train"] * 1200 + ["val"] * 34})
    measures = accuracies("train", 1.0) | accuracies("val", 1.0)
    said = "1,234 images of 2 classes (1,200 train, 34 val); "
    assert data_sentence(results_of(measures, manifest=manifest)) == f"{said}every file was used"
    unused = pd.DataFrame({"path": ["x"]})
    assert data_sentence(results_of(measures, manifest=manifest, quarantine=unused)) == f"{said}1 file was not used"


def test_problem_4_is_answered_as_k_of_n_and_says_what_differs_from_the_homework(workspace: Workspace) -> None:
    manifest = pd.DataFrame({"split": ["train"] * 60 + ["val"] * 24})
    columns = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    history = pd.DataFrame([[0, 1.0, 0.5, 0.8, 0.5], [1, 0.1, 57 / 60, 0.2, 23 / 24]], columns=columns)
    results = results_of({}, manifest=manifest, history=history, metrics={"finetune": {"precision_bits": 32}})
    said = "After 2 epochs the train accuracy is 57 of 60 (95.0%) and the val accuracy 23 of 24 (95.8%)."
    assert fine_tuning_answer(results).startswith(said)
    assert lag_of_val(results, params_file.load(AllParams)) == ""
    lagging = pd.DataFrame([[0, 1.0, 0.5, 0.8, 0.5], [1, 0.2, 0.9, 0.9, 0.5]], columns=columns)
    lag = lag_of_val(results_of({}, manifest=manifest, history=lagging), params_file.load(AllParams))
    assert lag.startswith("In epoch 1, counted from 0, val accuracy is 0.40 below train accuracy.")
    assert "an epoch has 4 batches" in lag
    assert share_of(0.333, 60) == "33.3%"  # blended images
    digits = differences_from_homework(results, params_file.load(AllParams))
    assert [sentence.split()[1] for sentence in digits] == ["images", "network", "homework's"]
    workspace.set(finetune__lr=0.01, weights__source="imagenet", data__root="flowers")
    own = differences_from_homework(results, params_file.load(AllParams))
    assert own[0] == "The images are those of flowers."
    assert own[-1] == "finetune.lr is 0.01; the homework has 0.001."
    assert len(own) == 3
    workspace.set(
        finetune__head="probe", finetune__ema=0.99, finetune__augment__flip=0.5, image__interpolation="bicubic"
    )
    results = replace(results, metrics={"finetune": {"precision_bits": 16}})
    assert differences_from_homework(results, params_file.load(AllParams))[2:] == [
        "Convolutions and matrix products have 16 bits (finetune.precision); the homework's have 32.",
        "image.interpolation is bicubic; the homework has bilinear.",
        "finetune.head is probe; the homework has random.",
        "finetune.lr is 0.01; the homework has 0.001.",
        "finetune.augment.flip is 0.5; the homework has 0.0.",
        "finetune.ema is 0.99; the homework has null.",
    ]
    workspace.set(data__root="flowers")
    assert lag_of_val(results_of({}, manifest=manifest, history=lagging), params_file.load(AllParams)) == ""


def test_the_homework_has_a_value_of_each_parameter_that_the_model_depends_on(workspace: Workspace) -> None:
    told_in_words, of_others = {"epochs", "precision"}, {"step_epochs", "step_factor", "decay_vectors", "thaw_epoch"}
    of_the_machine = {"deterministic", "checkpoint_steps", "processes", "cache_gib", "seeds"}
    settings = flat(params_file.load(AllParams).model_dump())
    given = {key for key in settings if key.startswith(("image.", "finetune."))}
    left_out = {f"finetune.{key}" for key in told_in_words | of_others | of_the_machine}
    assert given - left_out == HOMEWORKS_PARAMS.keys() - {"weights.architecture"}
    assert all(settings[key] == value for key, value in HOMEWORKS_PARAMS.items())


def test_a_run_that_began_with_the_probe_says_so(workspace: Workspace) -> None:
    manifest = pd.DataFrame({"split": ["train"] * 60 + ["val"] * 24})
    columns = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate")
    rows = [[-1, 0.1, 1.0, 0.3, 0.5, 0.0], [0, 0.05, 57 / 60, 0.2, 23 / 24, 0.01]]
    probe, tuned = (
        results_of({}, manifest=manifest, history=pd.DataFrame(rows[:end], columns=columns)) for end in (1, 2)
    )
    answer = fine_tuning_answer(probe)
    assert answer.startswith("No epoch was trained: the head is a logistic regression")
    assert answer.endswith("The train accuracy is 60 of 60 (100%) and the val accuracy 12 of 24 (50.0%).")
    answer = fine_tuning_answer(tuned)
    assert answer.startswith("After 1 epoch the train accuracy is 57 of 60 (95.0%)")
    assert "From the linear probe, epoch -1, to the last epoch the loss goes from 0.100 to 0.050 (train)" in answer
    assert lag_of_val(probe, params_file.load(AllParams)) == ""
    draw_nothing("loss", "accuracy", "learning_rate")
    *_, none = training_figures(probe, params_file.load(AllParams))
    assert none == "No epoch was trained: only the head was fitted."


RECIPE = "Optimiser sgd, learning rate 0.001, momentum 0.9, batch size 16, images of 224 pixels"
PROBE = "with a logistic regression on its features as the head for 2 classes"


@pytest.mark.parametrize(
    ("head", "epochs", "kept_epoch", "said"),
    [
        (
            "random",
            20,
            19,
            f"with a new head for 2 classes. {RECIPE}, 32-bit arithmetic, 20 epochs. The weights after epoch 19, "
            "counted from 0, are kept.",
        ),
        (
            "probe",
            1,
            0,
            f"{PROBE}, then fine-tuned. {RECIPE}, 32-bit arithmetic, 1 epoch. The weights after epoch 0, counted from "
            "0, are kept.",
        ),
        (
            "probe",
            2,
            -1,
            f"{PROBE}, then fine-tuned. {RECIPE}, 2 epochs. The weights before the first epoch are kept, with the "
            "logistic regression as the head, which was fitted in 32-bit arithmetic.",
        ),
        (
            "probe",
            0,
            -1,
            f"{PROBE}, fitted on images of 224 pixels in 32-bit arithmetic. All other weights are unchanged.",
        ),
    ],
    ids=["epochs", "epochs after the probe", "the probe after epochs", "the probe alone"],
)
def test_the_training_is_told_as_it_was(
    workspace: Workspace, head: str, epochs: int, kept_epoch: int, said: str
) -> None:
    workspace.set(finetune__head=head, finetune__epochs=epochs)
    trained = {"epochs": epochs, "kept_epoch": kept_epoch, "precision_bits": 32}
    results = results_of({}, metrics={"finetune": trained})
    assert training_sentences(results, params_file.load(AllParams)) == said


def draw_nothing(*names: str) -> None:
    """Write figures without content, as the plot stage writes its own."""
    for name in names:
        path = Path(f"data/figures/{name}.svg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<svg/>")


def last_rates(schedule: type[LRScheduler], epochs: int, **options: float) -> list[float]:
    """Return torch's learning rate at the last update of each epoch, of four updates and at most 0.001."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.001)
    scheduler, rates = schedule(optimiser, **options), []
    for _ in range(4 * epochs):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates[3::4]


@pytest.mark.parametrize(
    ("recipe", "rates", "said"),
    [
        ({"schedule": "constant"}, [0.001] * 2, "The learning rate is 0.001 in every update."),
        (  # from 0.001 through 0.000854 and 0.0005
            {"schedule": "cosine"},
            last_rates(CosineAnnealingLR, 1, T_max=4),
            "At the last update of the only epoch the learning rate is 0.000146.",
        ),
        (  # from 0.00004 at the first update
            {"schedule": "one_cycle"},
            last_rates(OneCycleLR, 3, max_lr=0.001, total_steps=12),
            "at the last update of each of 3 epochs: 0.000994 in the first epoch, 4e-09 in the last; the highest of "
            "them is 0.000994.",
        ),
        (  # from 0.0002 at the first update to 0.001 at the fifth
            {"schedule": "constant", "warmup_epochs": 1},
            last_rates(LinearLR, 2, start_factor=0.2, total_iters=4),
            "at the last update of each of 2 epochs: 0.0008 in the first epoch, 0.001 in the last; the highest of them "
            "is 0.001.",
        ),
        (
            {"schedule": "step", "step_epochs": 7},
            last_rates(StepLR, 2, step_size=28),
            "0.001 in the first epoch, 0.001 in the last; the highest of them is 0.001.",
        ),
    ],
    ids=["constant", "cosine", "one_cycle", "warm-up", "step"],
)
def test_a_learning_rate_that_changes_is_told_as_that_of_each_epochs_last_update(
    workspace: Workspace, recipe: dict[str, object], rates: list[float], said: str
) -> None:
    draw_nothing("loss", "accuracy", "learning_rate", "weight_decay", "step_size")
    workspace.set(finetune__epochs=len(rates), **{f"finetune__{key}": value for key, value in recipe.items()})
    settings = params_file.load(AllParams)
    columns = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    history = pd.DataFrame({"epoch": range(len(rates)), "learning_rate": rates} | dict.fromkeys(columns, 0.5))
    results = results_of({}, history=history)
    *_, told = training_figures(results, settings)
    assert (told if isinstance(told, str) else told.alt).endswith(said)
    assert isinstance(told, str) or told.caption == "The learning rate at each epoch's last update."
    *_, step_size = weight_decay_figures(results, settings)
    of_all = "0.001" if recipe == {"schedule": "constant"} else "at most 0.001"
    assert step_size.alt == f"A logarithmic axis with the learning rate, {of_all}. The largest stable one is not known."
    assert step_size.caption.endswith("and the largest stable one. The latter is not known for this recipe.")


@pytest.mark.slow
def test_a_second_run_gives_the_same_bytes_also_once_it_is_committed(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_copy)
    first = report.PAGE.read_bytes()
    assert len(first) < 8_000_000
    report.main()
    assert report.PAGE.read_bytes() == first
    text = first.decode()
    assert "was evaluated on other images" in text  # by the project's own metrics, which were committed first
    for stage in ("backprop", "convolution", "weight_decay", "curvature"):
        metrics = json.loads(Path(f"metrics/{stage}.json").read_text())
        assert f"{metrics['checks_passed']} checks passed" in text
    assert "5,133,600" in text
