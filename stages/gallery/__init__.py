"""The gallery stage: the images that are most wrong, least sure and most sure, each with its saliency map.

`__main__` is the stage. `chosen_images` chooses the images; `saliency` computes and draws the maps.
"""
