"""The gallery stage: the images to look at, and where the network looked.

`choice` takes the images, `saliency` looks into the network, `overlay` draws what it found.
"""
