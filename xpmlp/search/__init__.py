"""Many nets trained side by side: sweeps over settings, scikit-learn's searches, ensembles."""
