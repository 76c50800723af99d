"""Is the difference between two revisions real?

`__main__` is the command. `revisions` reads what a revision predicted and its parameters; `pairing` lays two of them
side by side, image by image; `measures` are the numbers that are compared, `statistics` says which of their
differences are more than luck; `layout` prints them.
"""
