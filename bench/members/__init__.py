"""Many nets at once, beside other ways to train as many: speed and memory."""
