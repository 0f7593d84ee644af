"""The command tree: `smart-llmrouter --help`."""
