"""Putting the data of images in the place of their URLs."""

from collections.abc import Mapping

import msgspec

from smart_llmrouter.dialects.base import Peek
from smart_llmrouter.dialects.glancing import is_list, members_in
from smart_llmrouter.dialects.rewriting import (
    each_changed,
    link_changed,
    member_changed,
)


def with_images(peek: Peek, images: Mapping[str, str]) -> Peek:
    """Return the request with data URLs for those URLs of images that are given."""

    def in_part(part: msgspec.Raw) -> msgspec.Raw:
        return member_changed(
            part, "image_url", lambda link: link_changed(link, images)
        )

    def in_content(content: msgspec.Raw) -> msgspec.Raw:
        # A screenshot is the output itself, and not one of a list.
        return each_changed(content, in_part) if is_list(content) else in_part(content)

    def in_item(item: msgspec.Raw) -> msgspec.Raw:
        said = member_changed(item, "content", in_content)
        return member_changed(said, "output", in_content)

    def in_variables(variables: msgspec.Raw) -> msgspec.Raw:
        for name in members_in(variables):
            variables = member_changed(variables, name, in_part)
        return variables

    members = dict(peek.members)
    if "input" in members:
        members["input"] = each_changed(members["input"], in_item)
    if "prompt" in members:
        members["prompt"] = member_changed(members["prompt"], "variables", in_variables)
    return msgspec.structs.replace(peek, members=members)
