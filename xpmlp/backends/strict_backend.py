"""array-api-strict: slow, and refuses whatever the Array API standard does not promise."""

import array_api_strict

from xpmlp.backends.base import Backend


class StrictBackend(Backend):
    """Shows that the mathematics stays within the standard."""

    name = "array-api-strict"
    xp = array_api_strict
    library = f"array-api-strict {array_api_strict.__version__}"
