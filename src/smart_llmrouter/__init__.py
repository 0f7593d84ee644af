"""smart-llmrouter: a governed gateway between LLM clients and LLM providers.

Read `engine/pipeline.py` first: it is the path that every call takes.
"""
