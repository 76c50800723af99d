"""The weight_decay stage: problem 3, its three forms, its bound, and what the bound leaves out.

`__main__` is the stage. `updates` holds the three forms with and without momentum; `decoupling` shows where Adam
and AdamW part; `bounds` finds the stable step sizes by running; `run_at_hand` judges params.yaml; `derivation` lays
all of it out.
"""
