"""Statements that are spelled out once for a database, for what every request does. What they say is for others.

To look up how a statement is spelled, to convert its values one by one by what is known of each, and to dress up what
comes back, takes longer than to carry it out. So they go to the driver itself.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from sqlalchemy import Connection, Dialect, Select, Table, Update, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert

Values = Mapping[str, object]

_Convert = Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many rows were written, and what was found first, in the order of the statement's columns."""

    rowcount: int
    first: Sequence[Any] | None


class Statement:
    """One statement with a name for each of its values, and how it is spelled in the databases that have seen it."""

    def __init__(self, statement: Insert | Update | Select[Any], *, columns: Sequence[str] | None = None) -> None:
        self._statement, self._columns = statement, columns
        self._spelled: dict[tuple[str, str], _Spelled] = {}

    @classmethod
    def into(cls, table: Table) -> "Statement":
        """Return the one that adds rows to a table; a column that a row does not have is null, whatever its default."""
        return cls(insert(table), columns=[column.name for column in table.columns])

    def on(self, connection: Connection, *rows: Values) -> Outcome:
        """Carry it out with the values of each row, in a transaction that was begun.

        Raises:
            KeyError: a row has a value that the statement does not know, or lacks one that is no column's.
            sqlalchemy.exc.DBAPIError: what the database refuses.
        """
        dialect = connection.dialect
        spelled = self._spelled.get((dialect.name, dialect.driver))
        if spelled is None:
            spelled = self._spelled[dialect.name, dialect.driver] = _Spelled(self._statement, self._columns, dialect)
        told: list[Any] = [spelled.values(row) for row in rows]
        try:
            with contextlib.closing(connection.connection.cursor()) as cursor:
                if len(told) == 1:
                    cursor.execute(spelled.text, told[0])
                else:
                    cursor.executemany(spelled.text, told)
                return Outcome(cursor.rowcount, spelled.read(cursor.fetchone()) if spelled.answers else None)
        except dialect.loaded_dbapi.Error as error:
            _refuse(error, spelled.text, dialect)


class _Spelled:
    """A statement in the words of one database, and how that takes each value."""

    def __init__(
        self, statement: Insert | Update | Select[Any], columns: Sequence[str] | None, dialect: Dialect
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        assert isinstance(compiled, SQLCompiler)
        self.text = str(compiled)
        # What writes says nothing, unless it was told to.
        self.answers = bool(statement.exported_columns)
        self._reads: list[_Convert | None] = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in statement.exported_columns
        ]
        self._converts: dict[str, _Convert | None] = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        # What a row lacks is null, and not what the column writes for a value that is nothing.
        self._blank: Values = {} if columns is None else dict.fromkeys(columns)
        # In some databases values have no names, and one that is asked for twice comes twice.
        self._order = compiled.positiontup if compiled.positional else None

    def values(self, row: Values) -> tuple[object, ...] | dict[str, object]:
        told = {**self._blank, **row}
        converts = self._converts
        for name, value in row.items():
            # A name that is not known has nothing that is known of it.
            if (convert := converts[name]) is not None:
                told[name] = convert(value)
        return told if self._order is None else tuple([told[name] for name in self._order])

    def read(self, row: Sequence[Any] | None) -> Sequence[object] | None:
        if row is None:
            return None
        return [value if read is None else read(value) for read, value in zip(self._reads, row, strict=True)]


def _refuse(error: Exception, text: str, dialect: Dialect) -> NoReturn:
    dbapi = dialect.loaded_dbapi
    raise DBAPIError.instance(text, None, error, dbapi.Error, hide_parameters=True, dialect=dialect) from error
