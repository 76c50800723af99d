"""Splits that cannot be: each is refused in one line, with the cause and what helps, and what it advises works."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from stages.prepare import groups
from tests.conftest import Workspace, write_image
from tests.stages.prepare.conftest import PREPARED, manifest, write_flat


def test_groups_that_match_no_path_are_refused(ready: Workspace) -> None:
    ready.set(data__groups=r"Patient_(\d+)")
    for i in range(20):
        write_image(Path("images", "ill" if i % 2 else "well", f"patient_{i // 4}_{i}.png"), seed=i)
    with pytest.raises(
        UserError, match=r"data.groups: .*matches none of the 20 paths .*, such as 'ill/patient_0_1.png'"
    ):
        prepare.main()
    assert not PREPARED.exists()


def test_groups_that_backtrack_for_ever_are_refused(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "SEARCH_SECONDS", 1)
    ready.set(data__groups="((?:a+)+)$")
    write_flat({"a" * 60 + "b": 10, "bee": 10})
    with pytest.raises(UserError, match="data.groups: .* takes more than 1 s on 20 paths"):
        prepare.main()


def test_a_group_that_the_data_set_itself_divides_is_refused(ready: Workspace) -> None:
    ready.set(data__groups=r"(p\d)-")
    for split in ("train", "val"):
        for class_name in ("ant", "bee"):
            write_image(Path("images", split, class_name, "p1-0.png"), seed=hash((split, class_name)) % 1000)
    with pytest.raises(UserError, match="are of one group, 'p1', in two splits"):
        prepare.main()


def test_too_few_images_of_a_class_are_refused_with_the_way_out(ready: Workspace) -> None:
    write_flat({"ant": 10, "bee": 2})
    with pytest.raises(UserError, match="the class 'bee' has 2 image.*too few for 3 splits: .*data.test_share to 0"):
        prepare.main()
    ready.set(data__test_share=0.0)
    prepare.main()
    assert set(manifest()["split"]) == {"train", "val"}


def test_groups_that_hold_all_of_a_class_are_refused(ready: Workspace) -> None:
    ready.set(data__groups=r"(camera)")
    write_flat({"ant": 10})
    for i in range(10):
        write_image(Path("images/bee", f"camera-{i}.png"), seed=500 + i)
    with pytest.raises(UserError, match="the class 'bee' has 1 image"):
        prepare.main()


def write_series(folder: str, seed: int, images: int = 20) -> None:
    """Write what a fixed camera takes: one scene with a little noise."""
    rng = np.random.default_rng(seed)
    scene = np.asarray(Image.fromarray(rng.integers(40, 216, (5, 5, 3), dtype=np.uint8)).resize((80, 80)))
    Path(folder).mkdir(parents=True)
    for i in range(images):
        frame = (scene + rng.integers(-2, 3, scene.shape)).astype(np.uint8)
        Image.fromarray(frame).save(Path(folder, f"day{i // 5}-{i}.png"))


@pytest.mark.parametrize("test_share", [0.2, 0.0])
def test_a_series_from_a_fixed_camera_names_the_cause_and_what_it_advises_works(
    ready: Workspace, test_share: float
) -> None:
    write_series("images/day", seed=1)
    write_series("images/night", seed=2)
    ready.set(data__test_share=test_share)
    with pytest.raises(UserError, match="20 images are near copies of each other, as from a fixed camera") as error:
        prepare.main()
    assert "data.test_share" not in str(error.value)  # which does not help
    ready.set(data__near_distance=None, data__groups=r"([^/]*/day\d)-")
    prepare.main()
    rows = manifest()
    assert (rows.groupby("split")["class"].nunique() == 2).all()
    assert rows.groupby(rows["path"].str.extract(r"(.*)-")[0])["split"].nunique().max() == 1
    assert len(rows) == 40


@pytest.mark.parametrize(("images", "test_share", "advised"), [(1, 0.2, False), (2, 0.2, True), (1, 0.0, False)])
def test_test_share_is_advised_only_where_it_helps(
    ready: Workspace, images: int, test_share: float, advised: bool
) -> None:
    write_flat({"ant": 10, "bee": images})
    ready.set(data__test_share=test_share)
    with pytest.raises(UserError, match=f"the class 'bee' has {images} image.* add images") as error:
        prepare.main()
    assert ("data.test_share" in str(error.value)) == advised
    if advised:
        ready.set(data__test_share=0.0)
        prepare.main()


def test_copies_of_one_file_are_named_as_the_cause(ready: Workspace) -> None:
    write_flat({"ant": 10, "bee": 1})
    for i in range(5):
        shutil.copy("images/bee/000.png", f"images/bee/copy-{i}.png")
    with pytest.raises(UserError, match="its 6 images are copies of 1 file.*: add images$"):
        prepare.main()


def test_a_class_whose_files_all_lie_in_another_is_refused_with_what_helps(ready: Workspace) -> None:
    write_flat({"ant": 10})
    write_image(Path("images/bee/0.png"), seed=0)  # ant/000.png
    ready.set(data__conflicts="keep")
    with pytest.raises(UserError, match="no image of the class 'bee': its files lie in other class folders") as error:
        prepare.main()
    assert "data.groups" not in str(error.value)
