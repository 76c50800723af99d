"""Say how good the fine-tuned model is, how sure each number is, and what it is to be held against.

`__main__` is the stage. `predictions` holds what the model says of a split; `scores` its measures and `ranking` those
of the order of the probabilities; `intervals` says how sure they are; `calibration` whether the probabilities are
true; `threshold` chooses where two classes part; `baselines` are what a model has to beat, `label_doubts` the labels
to look at; `step_size` holds the learning rate to its limit; `tables` are the CSV files.
"""
