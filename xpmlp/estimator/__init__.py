"""scikit-learn's estimators, trained by xpmlp: `xpmlp.MLPClassifier` and `xpmlp.MLPRegressor`."""
