"""The card's YAML header, by which model hubs find a model and show its results.

Source: https://huggingface.co/docs/hub/model-cards, written by that hub's own library.
"""

from huggingface_hub import EvalResult, ModelCardData

from plumbline.results.measures_file import Measures

TASK = "image-classification"
NAMES = {"accuracy": "accuracy", "macro_f1": "f1", "auroc": "roc_auc", "calibrated_loss": "log_loss"}  # ours: the hub's


def header(name: str, data_set: str, measures: Measures, splits: list[str]) -> str:
    """Return the header's lines: the task, and the measures on each split that was not trained on."""
    results = [
        EvalResult(
            task_type=TASK,
            dataset_type="imagefolder",
            dataset_name=data_set,
            dataset_split=split,
            metric_type=theirs,
            metric_name=ours.replace("_", " "),
            metric_value=round(measures[split, ours].value, 4),
        )
        for split in splits
        for ours, theirs in NAMES.items()
        if (split, ours) in measures
    ]
    return ModelCardData(
        library_name="onnx",
        pipeline_tag=TASK,
        tags=[TASK, "plumbline", "onnx", "pytorch"],
        metrics=sorted({result.metric_type for result in results}),
        model_name=name,
        eval_results=results,
    ).to_yaml()
