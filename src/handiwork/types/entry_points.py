"""The types that installed packages offer by an entry point. Registering them is left to the caller of this."""

from importlib.metadata import entry_points

from handiwork.errors import InvalidType

GROUP = "handiwork.types"


def from_entry_points(*, group: str = GROUP) -> tuple[object, ...]:
    """Import what the entry points of the group name, in the order of their names, for `Registry` to take.

    Nothing is looked for before the call. Raises `InvalidType` for one that cannot be imported.
    """
    found: list[object] = []
    for entry in sorted(entry_points(group=group), key=lambda each: (each.name, each.value)):
        try:
            found.append(entry.load())
        except Exception as wrong:  # the boundary to other packages, whose code may raise anything
            problem = f"its entry point `{entry.value}` cannot be loaded ({type(wrong).__name__}: {wrong})"
            raise InvalidType(entry.name, problem=problem) from wrong
    return tuple(found)
