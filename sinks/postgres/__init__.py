"""PostgreSQL: connections, migrations, statements, and the reading side."""
