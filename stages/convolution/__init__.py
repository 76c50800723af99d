"""The convolution stage: problem 2's layer, and every layer of the network that is trained.

`__main__` is the stage. `arithmetic` holds the answers as formulas and `formula` the convolution as it is printed;
`layer_checks` compares both with torch. `network_table` prices the network, `receptive_field` says what its layers
see, `published` reconciles the totals with torchvision's, `conventions` says why tools disagree; `derivation` lays
all of it out.
"""
