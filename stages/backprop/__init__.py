"""The backprop stage: problem 1, with its gradients proved and both passes priced.

`__main__` is the stage. `hidden_layer` holds the passes that the homework asks for; `gradient_checks` checks them,
`derivation_checks` the steps to them, and `printed_equations` the homework's equations; `cost` and `network_cost` count
what they cost. `resnet_layers` holds the passes of ResNet34's layers, which `resnet_layer_checks` compares with torch.
`traced_graph` traces the computational graph. `derivation` writes all of it for the report.
"""
