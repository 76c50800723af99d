"""params.yaml: what is accepted, and the one line that answers each mistake."""

from pathlib import Path

import pytest
import yaml

from plumbline.params.all import AllParams
from plumbline.run import params_file
from plumbline.run.errors import UserError
from tests.conftest import PROJECT, Workspace

TEXT = (PROJECT / "params.yaml").read_text()


def mistake(tmp_path: Path, old: str, new: str) -> str:
    """Return the message for params.yaml with one piece of text replaced."""
    assert old in TEXT
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(UserError) as error:
        params_file.load(AllParams, path)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  lr: 0.001                     # learning", "  lr: fast # learning", "finetune.lr is 'fast': should be a number"),
        ("epochs: 20", "epochs: -1", "finetune.epochs is -1: should be greater than or equal to 0"),
        ("epochs: 20", "epochs: 0", "finetune.epochs is 0: should be at least 1 where finetune.head is random"),
        ("head: random", "head: linear", "finetune.head is 'linear': should be 'random' or 'probe'"),
        ("epochs: 20", "epochs: 2.5", "finetune.epochs is 2.5: should be a valid integer"),
        ("epochs: 20", "epochs: true", "finetune.epochs is True: should be a valid integer"),
        ("momentum: 0.9", "momentum: true", "finetune.momentum is True: should be a number"),
        ("momentum: 0.9", "momentum: .nan", "finetune.momentum is nan: should be a finite number"),
        ("momentum: 0.9", "momentum: 1", "finetune.momentum is 1: should be less than 1"),
        ("momentum: 0.9", "momentun: 0.9", "finetune.momentun is not a known key; did you mean finetune.momentum? (and 1 more)"),
        ("finetune:", "fintune:", "fintune is not a known key; did you mean finetune? (and 1 more)"),
        ("  momentum: 0.9\n", "", "finetune.momentum"),
        ("precision: auto  ", "precision: half  ", "weights.pretraining.precision is 'half': should be 'auto', 'float32' or 'bfloat16'"),
        ("crop: 224", "crop: 300", "image.crop is 300: should be at most image.resize, 256"),
        ("  fit: crop ", "  fit: pad ", "image.fit is pad, with which the network sees the whole image: image.resize, 256, should be image.crop, 224"),
        ("  fit: crop ", "  fit: stretch ", "image.fit is 'stretch': should be 'crop', 'pad' or 'squash'"),
        ("  interpolation: bilinear", "  interpolation: nearest", "image.interpolation is 'nearest': should be 'bilinear', 'bicubic' or 'pretrained'"),
        ("  tag: null", "  tag: a1_in1k", "weights.tag is a1_in1k: should be null, for resnet34 is none of timm's"),
        ("kernel: 3", "kernel: 50", "convolution.kernel is 50: should be at most the image's height and width, 48 and 64"),
        ("  - 0.485\n", "", "image.mean is [0.456, 0.406]: should be a list of 3 numbers"),
        ("sha256: null", "sha256: abc", "weights.sha256 is 'abc': should be 64 lower-case hexadecimal digits"),
        ("groups: null", "groups: 'patient_['", "data.groups is 'patient_[': should be a regular expression (unterminated"),
        ("groups: null", "groups: patient_", "data.groups is 'patient_': should have one group in parentheses, and has 0"),
        ("labels: null  ", "labels: 2024 ", "data.labels is 2024, which YAML does not read as text: put it in quotes"),
        ("labels_in_root: null", "labels_in_root: true", "data.labels_in_root is True, which YAML does not read as text"),
        ("corrections: null", "corrections: /tmp/a.csv", "data.corrections is '/tmp/a.csv': should be a path relative to the project"),
        ("    split: null", "    splt: null", "data.columns.splt is not a known key; did you mean data.columns.split?"),
        ("val_share: 0.2", "val_share: 0.9", "data.val_share and data.test_share are 0.9 and 0.2: should leave something"),
        ("classes: null", "classes: [ant]", "data.classes is ['ant']: should"),
        ("conflicts: drop", "conflicts: ignore", "data.conflicts is 'ignore': should be 'drop', 'keep' or 'fail'"),
        ("carve: false", "carve: 0", "data.carve is 0: should be"),
        ("near_distance: 6", "near_distance: 17", "data.near_distance is 17: should be less than or equal to 16"),
        ("executor: loky", "executor: ray", "data.executor is 'ray': should be 'loky' or 'dask'"),
        ("executor: loky", "executor: dask", "data.executor is dask and data.scheduler is None: with dask it should be its address, such as tcp://10.0.0.1:8786"),
        ("scheduler: null", "scheduler: tcp://10.0.0.1:8786", "data.executor is loky and data.scheduler is tcp://10.0.0.1:8786: with loky it should be null"),
        ("scheduler: null", "scheduler: 10.0.0.1", "data.scheduler is '10.0.0.1': should be null or an address such as tcp://10.0.0.1:8786"),
        ("root: data/digits ", "root: 2024 ", "data.root is 2024, which YAML does not read as text: put it in quotes"),
        ("positive: null", "positive: true", "evaluate.positive is True, which YAML does not read as text: put it in quotes"),
        ("classes: null", "classes: [1, 2]", "data.classes.0 is 1, which YAML does not read as text: put it in quotes (and 1 more)"),
        ("root: data/digits ", "root: 2024-01-02 ", "data.root is 2024-01-02, which YAML does not read as text: put it in quotes"),
        ("root: data/digits ", "root: '' ", "data.root is empty: give it a value"),
        ("root: data/digits ", "root: [a] ", "data.root is ['a']: should be text"),
        (TEXT[TEXT.index("evaluate:\n") :], "evaluate: here", "evaluate is 'here': should be a section with keys of its own"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_by_the_key_the_value_and_what_would_be_right(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    if message == "finetune.momentum":
        old, message = (
            next(line for line in TEXT.splitlines(True) if "momentum: 0.9" in line),
            "finetune.momentum is missing",
        )
    assert mistake(tmp_path, old, new).startswith(message)


def test_labels_come_from_one_place(workspace: Workspace) -> None:
    workspace.set(data__labels="labels.csv", data__labels_in_root="metadata.csv")
    with pytest.raises(UserError, match="data.labels and data.labels_in_root are labels.csv and metadata.csv: one of"):
        params_file.load(AllParams)


def test_broken_yaml_and_a_key_given_twice_are_named_by_their_line(tmp_path: Path) -> None:
    assert "not valid YAML: line 7" in mistake(tmp_path, "seed: 0", "seed: [0")
    assert "duplicate key" in mistake(tmp_path, "seed: 0", "seed: 0\nseed: 1")


@pytest.mark.medium
def test_a_file_that_is_absent_empty_or_not_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    for contents, message in (
        (None, "is not here"),
        (b"", "should hold one section a stage"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 5000, "nested too deeply"),
    ):
        if contents is not None:
            path.write_bytes(contents)
        with pytest.raises(UserError, match=message):
            params_file.load(AllParams, path)


def test_a_value_that_aliases_make_endless_is_shown_in_one_short_line(tmp_path: Path) -> None:
    # Nine levels of nine references each: 9 to the 9th values, if all were written out.
    levels = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10))]
    path = tmp_path / "params.yaml"
    path.write_text("\n".join([*levels, TEXT.replace("root: data/digits ", "root: *a9 ", 1)]))
    with pytest.raises(UserError) as error:
        params_file.load(AllParams, path)
    assert len(str(error.value)) < 500


def test_numbers_are_read_as_dvc_reads_them_in_every_notation(workspace: Workspace) -> None:
    path = workspace.folder / "params.yaml"
    for notation in ("1e-3", "0.001", "1.0e-03"):
        path.write_text(TEXT.replace("lr: 0.001                     # learning", f"lr: {notation} # learning"))
        assert params_file.load(AllParams).finetune.lr == 0.001


def test_every_key_has_a_comment_with_its_unit_or_its_choices() -> None:
    lines = [line for line in TEXT.splitlines() if ":" in line and not line.lstrip().startswith("#")]
    sections = {*yaml.safe_load(TEXT), "pretraining"}
    bare = [line for line in lines if "#" not in line and line.strip(" :") not in sections]
    assert bare == []
