"""What draws with matplotlib: curves, regions, weights, outcomes, all in one style."""
