"""Classify images with the trained model.

`__main__` is the command. `sources` finds the files, `reading` decodes them on all cores, ahead of the network;
`rows` writes what the model says of each, or why it gave no image.
"""
