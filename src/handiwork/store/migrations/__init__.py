"""The steps by which alembic brings an older database up to date. They are loaded by alembic alone."""
