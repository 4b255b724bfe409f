"""The tools for models: one table with their schemas, what they answer, and large results kept out of the context."""
