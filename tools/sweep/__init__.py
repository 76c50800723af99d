"""Which values of the parameters are best?

`__main__` is the command. `experiments` reads the parameters and the accuracy of each experiment; `table` prints them,
the best first; `figure` draws them.
"""
