"""A scripted, fault-injecting provider for demos, tests and smokes.

`provider` decides, `server` carries out; `script` is the vocabulary of both.
"""
