"""Write the model for other people's programs. `__main__` is the stage.

`from_pixels` is the network that is exported: from pixels to probabilities. `onnx_file` and `torch_file` write it in
the two formats, `int8` in eight bits; `agreement` compares each file with torch and refuses one that differs too much;
`speed` times them.
"""
