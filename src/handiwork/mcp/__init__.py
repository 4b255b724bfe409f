"""The Model Context Protocol over the verbs of one session: tools, resources, and what has changed among them."""
