"""Statements that are spelled out once for a database, for what every request does. What they say is for others.

To look up how a statement is spelled, and to convert its values one by one by what is known of each, takes longer than
to carry it out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, Select, Table, Update, insert
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert

Values = Mapping[str, object]

_Convert = Callable[[Any], object]


class Statement:
    """One statement with a name for each of its values, and how it is spelled in the databases that have seen it."""

    def __init__(self, statement: Insert | Update | Select[Any], *, columns: Sequence[str] | None = None) -> None:
        self._statement, self._columns = statement, columns
        self._spelled: dict[tuple[str, str], _Spelled] = {}

    @classmethod
    def into(cls, table: Table) -> "Statement":
        """Return the one that adds rows to a table; a column that a row does not have is null, whatever its default."""
        return cls(insert(table), columns=[column.name for column in table.columns])

    def on(self, connection: Connection, *rows: Values) -> CursorResult[Any]:
        """Carry it out with the values of each row. Results are as the driver has them, which is right for numbers.

        Raises:
            KeyError: a row has a value that the statement does not know, or lacks one that is no column's.
        """
        dialect = connection.dialect
        spelled = self._spelled.get((dialect.name, dialect.driver))
        if spelled is None:
            spelled = self._spelled[dialect.name, dialect.driver] = _Spelled(self._statement, self._columns, dialect)
        if len(rows) == 1:
            return connection.exec_driver_sql(spelled.text, spelled.values(rows[0]))
        return connection.exec_driver_sql(spelled.text, [spelled.values(row) for row in rows])


class _Spelled:
    """A statement in the words of one database, and how that takes each value."""

    def __init__(
        self, statement: Insert | Update | Select[Any], columns: Sequence[str] | None, dialect: Dialect
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        assert isinstance(compiled, SQLCompiler)
        self.text = str(compiled)
        self._converts: dict[str, _Convert] = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) or _as_it_is
            for name, bind in compiled.binds.items()
        }
        # What a row lacks is null, and not what the column writes for a value that is nothing.
        self._blank: Values = {} if columns is None else dict.fromkeys(columns)
        # In some databases values have no names, and one that is asked for twice comes twice.
        self._order = compiled.positiontup if compiled.positional else None

    def values(self, row: Values) -> tuple[object, ...] | dict[str, object]:
        converts = self._converts
        # A name that is not known has nothing to convert it.
        told = {**self._blank, **{name: converts[name](value) for name, value in row.items()}}
        return told if self._order is None else tuple([told[name] for name in self._order])


def _as_it_is(value: object) -> object:
    return value
