"""Tables of one's own: read, typed, understood, and turned into the numbers that a net takes."""
