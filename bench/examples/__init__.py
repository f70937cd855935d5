"""Scripts written for scikit-learn's MLP, run with it and with xpmlp's: is the picture the same?"""
