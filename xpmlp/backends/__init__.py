"""One array library each behind one small protocol, imported only when asked for."""
