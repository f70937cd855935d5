"""The mathematics: pure functions over an Array API namespace `xp`.

No file here imports an array library, and none writes into an argument. Every function works
over leading axes `...`, so that one call can carry a whole ensemble of models. The equations
are derived in `xpmlp/DERIVATION.md`; docstrings name them, as in (DERIVATION.md, "affine").
"""
