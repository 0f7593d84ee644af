"""Anthropic Messages, both as callers speak it and as providers do.

    requests, thinking, streams   the relay lane: bytes that pass, and what is read
    parse*, encoder, answers      callers: their requests, and answers for them
    render*, decoder, answers     providers: requests for them, and their answers
    usage, schema, fields         what both read
    errors                        our errors in this dialect's shape

`dialect` puts them together.
"""
