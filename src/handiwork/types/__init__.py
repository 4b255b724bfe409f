"""What an artifact can be."""
