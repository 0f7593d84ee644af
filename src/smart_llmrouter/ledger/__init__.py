"""What happened and what it cost: records, their way into the database, reports."""
