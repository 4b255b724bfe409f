"""Handiwork in the words of the agent frameworks, a file for each. What they do is done by the verbs of a session.

None of them is loaded by `import handiwork`, and none keeps anything of its own.
"""
