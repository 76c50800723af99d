"""How much of the accuracy is left on images that are noisy, blurred, compressed, brighter, tilted or moved?

`__main__` is the command. `corruptions` changes images; `results` computes the accuracies with their intervals;
`figure` draws them.
"""
