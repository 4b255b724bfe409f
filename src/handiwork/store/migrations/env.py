"""What alembic runs around the steps: one transaction on the connection that `upgrade` hands over."""

from alembic import context

from handiwork.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
