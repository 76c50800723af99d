"""Measure the fine-tuned model on every split, each number with its interval.

`__main__` is the stage, `evaluation` computes all that it writes. `predictions` are the model's probabilities on a
split; `measures` are all numbers of a split, of which `ranking` computes AUROC and average precision and `calibration`
the calibration errors; `threshold` chooses where two classes are separated, `promised_threshold` does so with a promise
for new images, and `abstaining` by what it costs to leave images out; `roc_curves` are the curves behind it;
`baseline_models` are what the model has to beat; `label_doubts` are the labels to look at first, `similar_images` those
that may be copies of training images; `slices` are parts of the images, by their `appearance` and `feature_clusters`,
and `shortcuts` what follows from the appearance alone; `caveats` warn of what makes the result less certain.
"""
