"""The plot stage: figures of what the other stages measured.

`__main__` is the stage; each other module draws figures, in the style of `plumbline.presentation`.
"""
