"""The weight_decay stage: problem 3's three forms of the update, and bounds of the step size.

`__main__` is the stage. `updates` holds the three forms, with and without momentum; `decoupling` shows where Adam and
AdamW differ; `stable_step_sizes` finds the largest ones by running updates, and refuses parameters beyond the
homework's bound; `recurrence` checks what those bounds are derived from. `derivation` and `stability_derivation` write
all of it for the report.
"""
