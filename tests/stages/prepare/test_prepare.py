"""prepare: what it reads, what it refuses, what it sets aside, and that it never writes to the user's folder."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, Resize

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import PHOTOGRAPHS, Workspace, needs_photographs, write_data_set, write_image
from tests.stages.prepare.conftest import PREPARED, images, manifest, prepared, quarantine


@pytest.fixture
def root(ready: Workspace) -> Path:
    ready.set(data__max_unusable=0.5)
    return write_data_set(Path("images"))


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(f): (f.read_bytes(), f.stat().st_mtime_ns) for f in folder.rglob("*") if f.is_file()}


def test_pixels_labels_and_order_are_those_of_the_homeworks_image_folder(root: Path) -> None:
    shutil.rmtree(root / "val" / "ant")
    prepare.main()
    rows = manifest()
    for split in ("train", "val"):
        pixels = np.load(PREPARED / f"{split}.npy")
        own = rows[rows["split"] == split]
        theirs = ImageFolder(str(root / split), Compose([Resize(32), CenterCrop(32)]))
        assert list(root / own["path"]) == [Path(path) for path, _ in theirs.samples]
        assert own["class"].to_list() == [theirs.classes[label] for label in theirs.targets]
        np.testing.assert_array_equal(pixels, [np.asarray(image) for image, _ in theirs])
        assert own["index"].to_list() == list(range(len(pixels)))


def test_every_used_image_has_its_row_in_the_audit_in_the_manifests_order(root: Path) -> None:
    prepare.main()
    assert list(manifest()) == ["split", "index", "path", "label", "class", "sha256", "shorter_side"]
    facts = ["width", "height", "format", "mode", "orientation", "captured", "group", "notes"]
    assert list(images()) == ["split", "path", *facts]
    assert images()[["split", "path"]].equals(manifest()[["split", "path"]])


def test_the_audit_has_the_date_and_the_group_of_an_image(root: Path, ready: Workspace) -> None:
    exif = Image.Exif()
    exif[306] = "2007:05:12 14:33:01"  # EXIF 2.32, DateTime
    write_image(root / "train" / "ant" / "day 7.png", seed=99)
    with Image.open(root / "train" / "ant" / "day 7.png") as image:
        image.save(root / "train" / "ant" / "day 7.png", exif=exif)
    ready.set(data__groups=r"(day \d+)")
    prepare.main()
    rows = images()[["path", "captured", "group"]].set_index("path")
    assert rows.loc["train/ant/day 7.png"].to_list() == ["2007-05-12 14:33:01", "day 7"]
    assert set(rows.drop("train/ant/day 7.png").to_numpy().flat) == {""}


def test_files_that_are_not_used_and_a_limit_that_excludes_nothing_change_the_audit_alone(
    root: Path, ready: Workspace
) -> None:
    prepare.main()
    before = prepared()
    (root / "train" / "ant" / "broken.png").write_bytes(b"broken")
    (root / "list.csv").write_text("a,b")
    ready.set(data__max_pixels=100_000)
    prepare.main()
    after = prepared()
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {"audit/counts.csv", "audit/quarantine.csv"}


def test_a_class_folder_that_val_lacks_shifts_no_label(root: Path) -> None:
    shutil.rmtree(root / "val" / "ant")
    prepare.main()
    rows = manifest()
    assert set(rows.loc[rows["split"] == "val", "label"]) == {1}
    assert json.loads((PREPARED / "classes.json").read_text()) == ["ant", "bee"]


def test_files_that_give_no_image_are_named_with_the_reason_and_the_rest_is_used(root: Path) -> None:
    ants = root / "train" / "ant"
    (ants / "empty.png").touch()
    (ants / "text.jpg").write_text("not an image")
    (ants / "cut.png").write_bytes((ants / "0.png").read_bytes()[:900])
    (ants / "notes").mkdir()
    (ants / "notes" / "readme.txt").write_text("where they were found")
    (root / "list.csv").write_text("a,b")
    (root / "extra").mkdir()
    write_image(root / "extra" / "one.png")
    prepare.main()
    assert quarantine() == {
        "extra/one.png": "misplaced",
        "list.csv": "misplaced",
        "train/ant/cut.png": "truncated",
        "train/ant/empty.png": "empty",
        "train/ant/notes/readme.txt": "not an image",
        "train/ant/text.jpg": "not an image",
    }
    metrics = json.loads(Path("metrics/prepare.json").read_text())
    assert (metrics["train_images"], metrics["val_images"], metrics["quarantined"]) == (6, 6, 6)
    assert len(np.load(PREPARED / "train.npy")) == 6


def test_names_that_are_not_utf_8_or_hold_line_breaks_are_set_aside_readably(root: Path) -> None:
    shutil.copy(root / "train/ant/0.png", bytes(root / "train/ant") + b"/\xff.png")
    shutil.copy(root / "train/ant/0.png", root / "train/ant/a\nb.png")
    shutil.copy(root / "train/ant/0.png", root / "train/ant/a\x9bb.png")
    shutil.copy(root / "train/ant/0.png", root / "train/ant/a\u202egnp.png")
    write_image(root / "train/ant/\U0001f468\u200d\U0001f469 \u3000.png", seed=123)  # a family, joined; a wide space
    prepare.main()
    assert quarantine() == {
        "train/ant/a\\x0ab.png": "bad name",
        "train/ant/\\udcff.png": "bad name",
        "train/ant/a\\x9bb.png": "bad name",
        "train/ant/a\\u202egnp.png": "bad name",
    }


def test_class_names_in_any_language_and_with_commas_and_quotes_survive(workspace: Workspace) -> None:
    classes = ("007", "NA", 'a, "b"', "Käfer 🐞")
    workspace.set(data__root="images", image__resize=32, image__crop=24)
    write_data_set(Path("images"), images=1, classes=classes)
    prepare.main()
    assert set(manifest()["class"]) == set(classes)
    assert json.loads((PREPARED / "classes.json").read_text()) == sorted(classes)


def test_the_users_folder_is_left_as_it_was(root: Path) -> None:
    before = snapshot(root)
    prepare.main()
    assert snapshot(root) == before


def test_two_runs_give_the_same_bytes(root: Path) -> None:
    (root / "train/ant/text.jpg").write_text("not an image")
    prepare.main()
    first = prepared()
    shutil.rmtree(".cache")
    prepare.main()
    assert prepared() == first


def remove(*names: str):
    return lambda root: [shutil.rmtree(root / name) for name in names]


def empty_class(root: Path) -> None:
    for path in (root / "train" / "ant").iterdir():
        path.unlink()


def broken_class(root: Path) -> None:
    for path in (root / "val" / "bee").iterdir():
        path.write_text("broken")


def linked_class(root: Path) -> None:
    shutil.move(root / "val" / "bee", root.parent / "bee")
    (root / "val" / "bee").symlink_to(root.parent.absolute() / "bee")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove("."), "data.root: there is no folder or archive images: set it to one that holds your images"),
        (remove("val"), "data.root: images has train/ and no val/: add one, or set data.carve to true"),
        (remove("train"), "data.root has val/ and no train/"),
        (remove("train/ant"), "data.root's train/ must hold a folder for each of at least two classes; it has bee/"),
        (remove("val/ant", "val/bee"), "if its images have no known class, move val/ elsewhere, and classify them"),
        (lambda root: write_image(root / "test/unknown/1.png"), "test/ has none of the class folders, but 'unknown': it"),
        (lambda root: write_image(root / "test/1.png"), "data.root's test/ has no class folder: it must hold one for"),
        (remove("val/ant", "val/bee"), "data.root's val/ has no class folder: it must hold one for each of ant bee"),
        (empty_class, "train/ant holds no usable image: add some, or remove the folder"),
        (broken_class, "val/bee holds no usable image.*val/bee/0.png: not an image"),
        (linked_class, "images/val/bee is a link to a folder, which DVC does not follow"),
        (lambda root: write_image(root / "val/wasp/1.png"), "data.root's val/ has the class 'wasp', which data.root's train/ lacks: ant bee"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_right_is_refused_and_nothing_is_written(root: Path, change, message: str) -> None:
    change(root)
    with pytest.raises(UserError, match=message) as error:
        prepare.main()
    assert "\n" not in str(error.value)
    assert not PREPARED.exists()
    assert not Path("metrics/prepare.json").exists()


@pytest.mark.slow
@needs_photographs
def test_of_the_photographs_every_file_is_used_or_named(workspace: Workspace) -> None:
    workspace.set(data__root=str(PHOTOGRAPHS))
    prepare.main()
    files = {path.relative_to(PHOTOGRAPHS).as_posix() for path in PHOTOGRAPHS.rglob("*") if path.is_file()}
    assert set(manifest()["path"]) | set(quarantine()) == files
    assert not set(manifest()["path"]) & set(quarantine())


@pytest.mark.slow
@needs_photographs
def test_of_the_photographs_the_pixels_are_torchvisions_bit_for_bit(workspace: Workspace) -> None:
    workspace.set(data__root=str(PHOTOGRAPHS))
    prepare.main()
    transform = Compose([Resize(256), CenterCrop(256)])
    plain = manifest().merge(images()).query("mode == 'RGB' and orientation == 1")
    for split, rows in plain.groupby("split"):
        pixels = np.load(PREPARED / f"{split}.npy", mmap_mode="r")
        for index, name in zip(rows["index"], rows["path"], strict=True):
            with Image.open(PHOTOGRAPHS / name) as image:
                np.testing.assert_array_equal(pixels[index], np.asarray(transform(image)), err_msg=name)
    assert len(plain) == 397  # all but the GIF
