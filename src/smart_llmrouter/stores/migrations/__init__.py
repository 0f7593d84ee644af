"""The steps that make and change the usage database, run by Alembic."""
