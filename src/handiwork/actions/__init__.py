"""What is done with artifacts, and who has agreed to it: the ledger. Nothing is exported from here."""
