"""Read files that are damaged or made to do harm: `python -m benchmarks.hostile_files`.

`__main__` is the command. `whole_files` makes files of every form; `changes` damages them.
"""
