"""A trained net as an ONNX file: its graph, and the check against the net."""
