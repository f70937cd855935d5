"""A run's folder, and what the run came to: figures, texts, the pictures it gets, comparisons."""
