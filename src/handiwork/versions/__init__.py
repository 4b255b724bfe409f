"""How artifacts and their versions come to be."""
