"""Where state is kept: the journal, the database and its migrations."""
