"""Is the difference between two revisions real?

`__main__` is the command. `revisions` reads a revision's predictions, measures and parameters; `pairing` pairs the
predictions of revisions image by image, and judges them by the same labels; `comparison` computes the metrics and their
differences, which `statistics` tests; `printing` prints them, and `overrides` the parameters in a command.
"""
