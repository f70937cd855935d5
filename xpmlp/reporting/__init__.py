"""Pictures of a run: how it was trained, what it learnt, and where it errs."""
