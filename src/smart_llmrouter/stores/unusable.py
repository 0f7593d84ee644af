"""Why a usage database cannot be worked on, whichever kind it is."""


class DatabaseUnusable(Exception):
    """The database cannot be worked on; the text says why, in safe words."""


class UnsupportedDatabase(DatabaseUnusable):
    """The URL names a kind of database that this version cannot use."""


class DatabaseMissing(DatabaseUnusable):
    """There is no database yet at the place that the configuration names."""


class SchemaMismatch(DatabaseUnusable):
    """The database is not one that this version may work on."""
