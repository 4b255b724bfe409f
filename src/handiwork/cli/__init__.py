"""The commands. What they do is done by the engine; here is how it is asked for and shown."""
