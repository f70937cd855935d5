"""A page that trains a net in the browser, by training steps as ONNX graphs."""
