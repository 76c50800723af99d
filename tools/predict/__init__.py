"""Classify images with the trained model.

`__main__` is the command. `sources` finds the files, `prefetch` decodes them on all cores, ahead of the network;
`rows` writes the prediction for each, or the reason why it gave no image. `drift` compares all with the val images.
"""
