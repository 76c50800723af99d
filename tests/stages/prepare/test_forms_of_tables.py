"""Tables of labels as other programs write them, in a folder or an archive."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_image
from tests.stages.prepare.conftest import manifest, prepared, quarantine
from tests.support.label_tables import HEADER, labels, rows_of, write_images, write_parquet, write_table


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_hugging_face_image_folder_has_a_metadata_file_in_each_split(ready: Workspace, kind: str) -> None:
    """https://huggingface.co/docs/datasets/image_dataset: file_name is relative to the metadata file."""
    own = {"train": ["ant", "bee", "ant", "bee"], "validation": ["bee", "ant"], "test": ["ant", "bee"]}
    for seed, (split, classes) in enumerate(own.items()):
        for i in range(len(classes)):
            write_image(Path(f"images/{split}/{i:04}.png"), seed=100 * seed + i)
        table = pd.DataFrame({"file_name": [f"{i:04}.png" for i in range(len(classes))], "text": "?", "label": classes})
        if kind == "csv":
            table.to_csv(f"images/{split}/metadata.csv", index=False)
        elif kind == "parquet":
            write_parquet(f"images/{split}/metadata.parquet", list(table), table.to_numpy().tolist())
        else:
            table.to_json(f"images/{split}/metadata.jsonl", orient="records", lines=True)
    ready.set(data__labels_in_root=f"metadata.{kind}")
    prepare.main()
    assert labels() == {f"{split}/{i:04}.png": name for split, names in own.items() for i, name in enumerate(names)}
    assert manifest().groupby("split").size().to_dict() == {"train": 4, "val": 2, "test": 2}
    assert quarantine() == {}


def test_a_competition_has_ids_without_suffix_and_a_test_folder_without_labels(ready: Workspace) -> None:
    """https://www.kaggle.com/c/dog-breed-identification: labels.csv has the columns id and breed."""
    ids = [f"{seed:08x}21bfe0cb5ec8" for seed in range(24)]
    for number, own in enumerate(ids):
        write_image(Path(f"images/train/{own}.jpg"), seed=number)
        write_image(Path(f"images/test/{number:08x}ffff.jpg"), seed=1000 + number)
    breeds = {own: ("boston_bull", "golden_retriever")[number % 2] for number, own in enumerate(ids)}
    write_table("images/labels.csv", "id,breed", list(breeds.items()))
    write_table("images/sample_submission.csv", "id,boston_bull,golden_retriever", [[f"{0:08x}ffff", "0.5", "0.5"]])
    ready.set(data__labels="images/labels.csv")
    prepare.main()
    assert labels() == {f"train/{own}.jpg": breed for own, breed in breeds.items()}
    assert set(manifest()["split"]) == {"train", "val", "test"}  # chosen among those with labels
    unlabelled = [f"test/{number:08x}ffff.jpg" for number in range(24)]
    assert quarantine() == dict.fromkeys([*unlabelled, "sample_submission.csv"], "no label")


def task(number: int, image: str, *choices: list[str], cancelled: bool = False) -> dict:
    """A task of Label Studio's JSON export with an annotation for each list of choices."""
    return {
        "id": number,
        "annotations": [
            {
                "id": 10 * number + i,
                "completed_by": 1 + i,
                "result": [
                    {
                        "value": {"choices": own}, "id": "Dx_aB91ISN", "from_name": "insect", "to_name": "image",
                        "type": "choices", "origin": "manual",
                    }
                ],
                "was_cancelled": cancelled, "ground_truth": False, "lead_time": 4.288, "task": number,
            }
            for i, own in enumerate(choices)
        ],
        "file_upload": image.rpartition("/")[2], "drafts": [],
        "predictions": [{"model_version": "1", "result": [{"value": {"choices": ["wasp"]}, "from_name": "insect", "type": "choices"}]}],
        "data": {"image": image}, "meta": {}, "inner_id": number, "total_annotations": len(choices), "project": 29,
    }  # fmt: skip


def test_label_studios_json_export_gives_the_choices(ready: Workspace) -> None:
    """https://labelstud.io/guide/task_format: an upload's name has eight digits before it, a local file's is quoted."""
    write_images("1.png", "2.png", "3 é.png", "4.png", "5.png", "b/6.png", "7.png", "8.png", "9.png")
    tasks = [
        task(1, "/data/upload/29/0225a044-1.png", ["ant"]),
        task(2, "/data/upload/29/1a2b3c4d-2.png", ["bee"], ["bee"]),  # two annotators who agree
        task(3, "/data/local-files/?d=images/3%20%C3%A9.png", ["ant"]),
        task(4, "https://example.com/opensource/4.png", ["bee"]),
        task(5, "s3://bucket/images/5.png", ["ant"], ["bee"]),  # two who do not
        task(6, "/data/local-files/?d=b/6.png", ["ant"]),
        task(7, "/data/upload/29/ffffffff-7.png", ["bee"], cancelled=True),
        task(8, "/data/upload/29/ffffffff-8.png"),
        task(9, "/data/upload/29/ffffffff-9.png", ["bee"]),
    ]
    Path("export.json").write_text(json.dumps(tasks))
    ready.set(data__labels="export.json", data__test_share=0.0, data__max_unusable=1.0)
    prepare.main()
    assert labels() == {
        "1.png": "ant",
        "2.png": "bee",
        "3 é.png": "ant",
        "4.png": "bee",
        "b/6.png": "ant",
        "9.png": "bee",
    }
    assert quarantine() == {"5.png": "conflicting label", "7.png": "no label", "8.png": "no label"}


def test_two_questions_of_label_studio_need_a_name(ready: Workspace) -> None:
    write_images(*(f"{i}.png" for i in range(8)))
    tasks = [task(i, f"{i}.png", ["ant" if i % 2 else "bee"]) for i in range(8)]
    for own in tasks:
        own["annotations"][0]["result"].append(
            {"value": {"choices": ["sharp"]}, "from_name": "quality", "type": "choices"}
        )
    Path("export.json").write_text(json.dumps(tasks))
    ready.set(data__labels="export.json")
    with pytest.raises(UserError, match="export.json has the choices 'insect', 'quality': name in data.columns.label"):
        prepare.main()
    ready.set(data__columns__label="insect")
    prepare.main()
    assert set(labels().values()) == {"ant", "bee"}


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_label_studios_short_exports_are_tables(ready: Workspace, kind: str) -> None:
    write_images(*(f"{i}.png" for i in range(8)))
    records = [
        {"annotation_id": 900 + i, "annotator": 1, "choice": "ant" if i % 2 else "bee", "id": 70 + i,
         "image": f"/data/upload/29/0225a04{i}-{i}.png", "lead_time": 3.1}
        for i in range(8)
    ]  # fmt: skip
    if kind == "csv":
        pd.DataFrame(records).to_csv("export.csv", index=False)
    else:
        Path("export.json").write_text(json.dumps(records))
    ready.set(data__labels=f"export.{kind}")
    prepare.main()
    assert labels() == {f"{i}.png": "ant" if i % 2 else "bee" for i in range(8)}


@pytest.mark.parametrize("enclosed", [False, True])
def test_a_table_in_an_archive_or_beside_it_is_read(ready: Workspace, root: Path, enclosed: bool) -> None:
    rows = rows_of(root)
    write_table("images/labels.csv", HEADER, rows)
    ready.set(data__labels="images/labels.csv")
    prepare.main()
    before = prepared()
    base = {"root_dir": ".", "base_dir": "images"} if enclosed else {"root_dir": "images"}
    ready.set(
        data__root=shutil.make_archive("images", "zip", **base), data__labels=None, data__labels_in_root="labels.csv"
    )
    prepare.main()
    assert prepared() == before
    write_table("beside.csv", HEADER, [[f"images/{path}", *rest] for path, *rest in rows])
    ready.set(data__labels="beside.csv", data__labels_in_root=None)
    prepare.main()
    after = prepared()
    assert {name for name in after if after[name] != before[name]} == {"audit/quarantine.csv", "audit/counts.csv"}
    assert quarantine() == {"labels.csv": "no label"}


@pytest.mark.parametrize("data_root", ["../ext/flat", "link", "link/../flat"])
@pytest.mark.parametrize("table", ["labels.csv", "../ext/flat/labels.csv", None])  # None: by data.labels_in_root
def test_absolute_paths_are_found_if_data_root_has_dots_or_is_a_link(
    ready: Workspace, data_root: str, table: str | None
) -> None:
    folder = Path.cwd().parent / "ext/flat"
    wanted = {f"{i}.png": "ant" if i % 2 else "bee" for i in range(12)}
    for i, name in enumerate(wanted):
        write_image(folder / name, seed=i)
    Path("link").symlink_to("../ext/flat")
    as_given = Path.cwd() / data_root
    rows = [[f"{as_given if i % 3 else folder}/{name}", label] for i, (name, label) in enumerate(wanted.items())]
    write_table(table or f"{folder}/labels.csv", "path,label", rows)
    named = {"data__labels": table} if table else {"data__labels_in_root": "labels.csv"}
    ready.set(data__root=data_root, data__max_unusable=0.0, **named)
    prepare.main()
    assert labels() == wanted
