"""OpenAI Chat Completions, as OpenAI speaks it and the many that are compatible.

    relay      requests, answers, streams     bytes stay as they are
    caller     parse*                         a request to the canon
               encoder, folding               events to a stream, or to a plain answer
    provider   render*, families              the canon to a request
               decoder, reading               a stream or a plain answer to events
    both       errors, losses                 what is told of what is wrong or lost

On the relay lane bytes pass through untouched: `requests` reads and replaces single
top-level values, `answers` and `streams` read usage on its way past. `dialect` is all
of it, as `dialects.base` asks for it.
"""
