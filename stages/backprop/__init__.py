"""The backprop stage: problem 1, proved in symbols and in numbers, and priced.

`__main__` is the stage. `hidden_layer` holds the passes that the homework asks for; `symbolic`, `numeric`
and `printed` vouch for them, `cost` and `network_cost` price them; `layers` and `basic_block` go on to what
ResNet34 is made of; `graph` traces the computational graph; `derivation` lays all of it out.
"""
