"""Where the store of a command is, for commands that look into one and never make one.

What is in it is for whoever opens it.
"""

from handiwork.cli.failures import StoreNotFound
from handiwork.settings import Location, Settings


def located(data: str | None, settings: Settings) -> Location:
    """Return where the store is. Raises `StoreNotFound` where there is none."""
    location = settings.location(data)
    try:
        location.database.stat()
    except (FileNotFoundError, NotADirectoryError) as missing:
        raise StoreNotFound(str(location.folder)) from missing
    except OSError:
        pass  # Any other reason why it cannot be seen is for the store to tell.
    return location
