"""Damaged files for every reader: `python -m tests.torture.fuzz FORMAT`.

With Atheris, which is installed by hand, what a reader covers leads the mutations; without it they
are blind. Anything but a result, an XpmlpError or a UserWarning is a find.
"""
