"""Whole epochs of batched MNIST, timed per backend against what people would use instead."""
