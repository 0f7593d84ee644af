"""A tool server of the Model Context Protocol, over standard input and output.

It has one tool, `add`, which adds two numbers and writes the sum into the file that the
command line names.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

ADD: Final = {
    "name": "add",
    "description": "Add two numbers.",
    "inputSchema": {
        "type": "object",
        "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"],
    },
}


def answer(method: str, params: dict[str, Any], sums: Path) -> dict[str, Any]:
    """Return the result of a request."""
    match method:
        case "initialize":
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "toy", "version": "1"},
            }
        case "tools/list":
            return {"tools": [ADD]}
        case "tools/call":
            total = params["arguments"]["a"] + params["arguments"]["b"]
            with sums.open("a") as file:
                file.write(f"{total}\n")
            return {"content": [{"type": "text", "text": f"the sum is {total}"}]}
        case _:
            return {}


def main() -> None:
    """Answer requests until there are no more; notifications have no answer."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            result = answer(
                asked["method"], asked.get("params") or {}, Path(sys.argv[1])
            )
            told = {"jsonrpc": "2.0", "id": asked["id"], "result": result}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
