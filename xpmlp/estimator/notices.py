"""The warning that a solver ended before it had converged."""

import warnings

from sklearn.exceptions import ConvergenceWarning

from xpmlp.console import place_outside

MODULE = "sklearn.neural_network"


def warn_unconverged(message: str) -> None:
    """Warn at the place outside this package, as of scikit-learn's module.

    Scripts silence this warning by the name of that module, among them scikit-learn's examples.
    """
    warnings.warn_explicit(message, ConvergenceWarning, *place_outside(), module=MODULE)
