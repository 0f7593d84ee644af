"""A policy service for the strategy `external`: the size of a prompt decides.

    python3 examples/policies/prompt_size_service.py --port 18090 --light-tokens 8000

Prompts up to that size go to the cheapest target, larger ones to the dearest; the other
targets follow by price. It needs nothing but Python, and is an example: it serves one
machine, without TLS and without asking who calls.
"""

import argparse
import json
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOST_QUESTION_BYTES = 1024 * 1024


def decided(question, light_tokens):
    """Return the answer to a question: targets by their places in it."""
    targets = question["targets"]
    is_light = question["context"]["estimatedTokens"] <= light_tokens
    by_price = sorted(range(len(targets)), key=lambda place: price(targets[place]))
    first = by_price[0] if is_light else by_price[-1]
    return {
        "targetIndex": first,
        "fallbackIndexes": [place for place in by_price if place != first],
        "classLabel": "light" if is_light else "heavy",
    }


def price(target):
    """Return what a million input tokens cost; what is unknown counts as nothing."""
    return target["inputPricePerMillionUsd"] or 0.0


class Handler(BaseHTTPRequestHandler):
    """Answers `POST /route`; connections stay open between questions."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    light_tokens = 8000

    def do_POST(self):
        """Answer one question."""
        length = int(self.headers.get("Content-Length", 0))
        if self.path != "/route" or length > MOST_QUESTION_BYTES:
            self.close_connection = True
            self.send_error(404 if self.path != "/route" else 413)
            return
        try:
            answer = decided(json.loads(self.rfile.read(length)), self.light_tokens)
        except (KeyError, IndexError, TypeError, ValueError):
            self.send_error(400)
            return
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing of each question."""


def main():
    """Serve until Ctrl-C."""
    options = argparse.ArgumentParser(description="Decide by the size of prompts.")
    options.add_argument("--port", type=int, default=18090)
    options.add_argument("--light-tokens", type=int, default=8000)
    chosen = options.parse_args()
    Handler.light_tokens = chosen.light_tokens
    with ThreadingHTTPServer(("127.0.0.1", chosen.port), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/route", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
