"""The sample conversation: its data and the programs an agent would write. What runs them is not here."""
