"""Who is calling, and what the caller may do: keys, tokens, signed links and policy."""
