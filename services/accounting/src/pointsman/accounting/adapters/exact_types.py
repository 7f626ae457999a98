"""Exact columns in either database: amounts of USD, moments in UTC, and sums that cannot overflow.

Money never passes through a float: ``NUMERIC(20, 12)`` in PostgreSQL, whole pico-USD in SQLite,
``Decimal`` on this side.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, cast

from sqlalchemy import BigInteger, ColumnElement, DateTime, Numeric, String
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_PICO_DIGITS: Final = 12
_SPLIT: Final = 1_000_000
"""SQLite's integers end at 9.2e18, 9.2 million USD; it sums millions and what is below apart."""


def pico_usd(amount: Decimal) -> int:
    """Return an amount as SQLite holds it."""
    return int(amount.scaleb(_PICO_DIGITS))


def microseconds(moment: datetime) -> int:
    """Return a moment as SQLite holds it."""
    return (moment - _EPOCH) // _MICROSECOND


class Usd(TypeDecorator[Decimal]):
    """An exact amount of USD with twelve places."""

    impl = Numeric(20, _PICO_DIGITS)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(20, _PICO_DIGITS))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | int | None:
        if value is None or dialect.name != "sqlite":
            return value
        return pico_usd(value)

    def process_result_value(self, value: Decimal | int | None, dialect: Dialect) -> Decimal | None:
        if value is None or dialect.name != "sqlite":
            return cast("Decimal | None", value)
        return Decimal(value).scaleb(-_PICO_DIGITS)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC; SQLite has no such type, so there it is microseconds since 1970."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | int | None:
        if value is None or dialect.name != "sqlite":
            return value
        return microseconds(value)

    def process_result_value(
        self,
        value: datetime | int | None,
        dialect: Dialect,  # noqa: ARG002 (SQLAlchemy passes it by position)
    ) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return _EPOCH + timedelta(microseconds=value)


class _Sum(TypeDecorator[Decimal | int]):
    """What ``exact_sum`` gives: USD of amounts, whole numbers of counts."""

    impl = Numeric
    cache_ok = True

    def __init__(self, *, is_usd: bool) -> None:
        super().__init__()
        self.is_usd = is_usd

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else Numeric())

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | int:
        if dialect.name != "sqlite":
            return value if self.is_usd else int(value)
        high, low = cast("str", value).split(":")
        total = int(high) * _SPLIT + int(low)
        return Decimal(total).scaleb(-_PICO_DIGITS) if self.is_usd else total


class exact_sum(FunctionElement[Decimal | int]):  # noqa: N801 (it reads as a function of SQL)
    """The sum of a column, exact however large; 0 where there are no rows."""

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = _Sum(is_usd=isinstance(column.type, Usd))


class comparable_sum(FunctionElement[Decimal]):  # noqa: N801 (it reads as a function of SQL)
    """The sum of amounts, to be compared with one amount.

    Exact where it can be equal: beyond its integers SQLite has a float, which no amount equals.
    """

    inherit_cache = True
    type = Usd()


@compiles(exact_sum)
@compiles(comparable_sum)
def _sum(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> str:
    return f"coalesce(sum({compiler.process(element.clauses, **kw)}), 0)"


@compiles(exact_sum, "sqlite")
def _exact_sum_in_sqlite(element: exact_sum, compiler: SQLCompiler, **kw: Any) -> str:
    high, low = _parts(element, compiler, **kw)
    return f"({high} || ':' || {low})"


@compiles(comparable_sum, "sqlite")
def _comparable_sum_in_sqlite(element: comparable_sum, compiler: SQLCompiler, **kw: Any) -> str:
    high, low = _parts(element, compiler, **kw)
    return f"({high} * {_SPLIT} + {low})"


def _parts(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> tuple[str, str]:
    column = compiler.process(element.clauses, **kw)
    return f"coalesce(sum({column} / {_SPLIT}), 0)", f"coalesce(sum({column} % {_SPLIT}), 0)"
