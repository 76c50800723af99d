"""The finetune stage: problem 4, trained so that a run that is killed ends as if it never had been.

`__main__` is the stage, and `training_loop` its loop: epochs, updates, what ends them. Before it, `training_setup`
reads the images and gives the network its head, random or from `probe_head`, and `optimiser_and_schedule` makes the
optimiser. An update's images: `sampling_order` draws their order, `augmentation` changes them, and `minibatches` makes
inputs of them, for the whole network or for what `frozen_layers` cuts off behind a layer. `run_state` is everything
that the rest of a run follows from, with the moving average (EMA) of the weights: `checkpoint_files` keep it on disk,
`interruption` turns signals into a clean end, `divergence` stops a loss that is not finite. `finished_model` adds what
the model file holds beside the weights, of which `unknown_images` is one part. `distributed` is for several processes
only.
"""
