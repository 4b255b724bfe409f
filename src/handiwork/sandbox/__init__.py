"""Untrusted code in a jail: the walls, the warm interpreter, the harvest."""
