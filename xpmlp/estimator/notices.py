"""The warning that a solver ended before it had converged."""

import sys
import warnings

from sklearn.exceptions import ConvergenceWarning

MODULE = "sklearn.neural_network"


def warn_unconverged(message: str) -> None:
    """Warn at the place outside this package, as of scikit-learn's module.

    Scripts silence this warning by the name of that module, among them scikit-learn's examples.
    """
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("xpmlp."):
        frame = frame.f_back
    place = frame.f_code.co_filename, frame.f_lineno
    warnings.warn_explicit(message, ConvergenceWarning, *place, module=MODULE)
