"""How well and how fast tables of one's own train, beside scikit-learn and pandas."""
