"""The path of a call. Read `pipeline` first; it names the steps in their order."""
