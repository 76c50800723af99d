"""The finetune stage: problem 4, trained so that a run that is killed ends as if it never had been.

`__main__` is the stage. What is trained on: `start` reads it into a `task`; `sampling` orders the images,
`augmentation` changes them, `inputs` makes batches of them. What is trained: the network, or behind `freezing` a
`trained_part` of it. How: `engine` is the loop, and `update` one step of it, with `optimisers` and `schedules`;
`divergence` stops it, `selection` says when it ends and what is kept. Where: in one process, or in several `processes`,
which `launch` or torchrun starts, with batch normalisation `synchronised` over all. What survives a kill: the run's
`state`, kept in `checkpoints` under the `fingerprint` of everything that the result follows from; `interruption` turns
signals into a clean end.
"""
