"""What the system or a database says when it cannot go on, in our words.

A constraint of a database that refuses is not such a case: what it means is known where the row was written.
"""

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError

from handiwork.errors import HandiworkError, StorageFailed, StorageFull

_DATABASE = "the database"
_SYSTEM_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SQLITE_FULL = 13
_POSTGRESQL_FULL = "53100"


def system_failure(error: OSError, *, where: str) -> HandiworkError:
    if error.errno in _SYSTEM_FULL:
        return StorageFull(where)
    return StorageFailed(where, error.strerror or str(error))


def database_failure(error: DBAPIError | sqlite3.Error) -> HandiworkError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code: object = getattr(cause, "sqlite_errorcode", None)
    state: object = getattr(cause, "sqlstate", None)
    if code == _SQLITE_FULL or state == _POSTGRESQL_FULL:
        return StorageFull(_DATABASE)
    return StorageFailed(_DATABASE, str(cause))
