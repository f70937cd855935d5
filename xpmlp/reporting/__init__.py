"""What a person sees of a run: its progress, its summary, its folder, and its pictures."""
