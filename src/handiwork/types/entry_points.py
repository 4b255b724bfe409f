"""The types that installed packages offer by an entry point. Registering them is left to the caller of this."""

from importlib.metadata import entry_points

from handiwork.errors import InvalidType, StorageFailed

GROUP = "handiwork.types"


def from_entry_points(*, group: str = GROUP) -> tuple[object, ...]:
    """Import what the entry points of the group name, in the order of their names, for `Registry` to take.

    Nothing is looked for before the call. Raises `InvalidType` for one that cannot be imported, and
    `StorageFailed` when the packages cannot be looked at.
    """
    found: list[object] = []
    try:
        offered = sorted(entry_points(group=group), key=lambda each: (each.name, each.value))
    except OSError as refused:
        raise StorageFailed("the list of installed packages", refused.strerror or str(refused)) from refused
    for entry in offered:
        try:
            found.append(entry.load())
        except Exception as wrong:  # the boundary to other packages, whose code may raise anything
            problem = f"its entry point `{entry.value}` cannot be loaded ({type(wrong).__name__}: {wrong})"
            raise InvalidType(entry.name, problem=problem) from wrong
    return tuple(found)
