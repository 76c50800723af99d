"""Is the difference between two revisions real?

`__main__` is the command. `revisions` reads a revision's predictions, measures and parameters; `pairing` pairs the
predictions of revisions image by image; `measures` computes the metrics from them, `statistics` tests the differences;
`comparison` puts the results together, `printing` prints them.
"""
