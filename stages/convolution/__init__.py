"""The convolution stage: problem 2's layer, and every layer of the network as it is published.

`__main__` is the stage. `layer_by_formula` holds the answers as formulas, and the convolution as it is printed;
`layer_against_torch` compares both with torch. `network_table` counts the cost of each layer of the network, with its
`receptive_field`; `network_parameters` says where the parameters are; `counting_conventions` explains why tools report
other totals. `derivation` writes all of it for the report.
"""
