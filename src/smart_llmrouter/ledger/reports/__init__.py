"""The one query layer of all reports: behind the command line, pages and the API."""
