"""The finetune stage: problem 4, trained so that a run that is killed ends as if it never had been.

`__main__` is the stage. `engine` trains, from wherever its `state` stands; `recipe` makes optimiser and schedule;
`checkpoints` keeps the state on disk, under a `fingerprint` of everything that the result follows from;
`interruption` turns signals into a clean end.
"""
