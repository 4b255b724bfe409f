"""Exports: a session as one ZIP that shows everything without a server, and the check that it is still whole."""
