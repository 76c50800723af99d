"""Which values of the parameters are best?

`__main__` is the command. `experiments` reads what a sweep's experiments were told and how good they became; `table`
prints them, the best first; `figure` draws them.
"""
