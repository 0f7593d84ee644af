"""The settings that a configuration file may hold, one module a subject.

These models are the single source of what is accepted: the checks, the JSON Schema,
`config show` and the reference page are all made from them.
"""

from smart_llmrouter.config.schema.root import Settings

__all__ = ["Settings"]
