"""The estimators beside scikit-learn's: accuracy and speed over several seeds."""
