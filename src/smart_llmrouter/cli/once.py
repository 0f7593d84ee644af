"""Commands of which each option is given once, so that none is silently left out."""

from typing import Any

import typer
from typer.core import TyperCommand


class OnceCommand(TyperCommand):
    """Refuses two values for one option, such as `--since` and its other name."""

    def parse_args(
        self,
        ctx: Any,  # noqa: ANN401 - Typer does not export its type
        args: list[str],
    ) -> list[str]:
        """Read the command line; raise `BadParameter` where an option is repeated."""
        given = list(args)
        rest = super().parse_args(ctx, args)
        _, _, order = self.make_parser(ctx).parse_args(args=given)
        for param in order:
            flag = getattr(param, "is_flag", False)
            single = param.param_type_name == "option" and not (param.multiple or flag)
            if single and order.count(param) > 1:
                raise typer.BadParameter(f"give {' or '.join(param.opts)} once")
        return rest
