"""The white space at the start of a line, counted in columns with tab stops at every fourth. What follows is not read.

A rest of a line goes with the column that it begins at, since that decides how wide its tabs are.
"""

TAB = 4


def indentation(rest: str, column: int) -> int:
    """Return how many columns of white space `rest` begins with."""
    lead = rest[: len(rest) - len(rest.lstrip(" \t"))]
    if "\t" not in lead:
        return len(lead)
    at = column
    for character in lead:
        at += TAB - at % TAB if character == "\t" else 1
    return at - column


def without(rest: str, column: int, count: int) -> str:
    """Return `rest` without its first `count` columns, which are white space; what is left of a tab becomes spaces."""
    if "\t" not in rest[:count]:
        return rest[count:]
    at, goal = column, column + count
    for index, character in enumerate(rest):
        if at >= goal:
            return " " * (at - goal) + rest[index:]
        at += TAB - at % TAB if character == "\t" else 1
    return " " * max(at - goal, 0)
