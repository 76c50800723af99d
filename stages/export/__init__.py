"""The export stage. `__main__` tells the story.

`from_pixels` is what is exported: from pixels to probabilities. `onnx_file` and `torch_file` write it in the two
formats, `int8` in eight bits; `agreement` holds each against torch, `speed` times them.
"""
