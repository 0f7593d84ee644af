"""The page on usage records says what the tables say."""

from tools.usage_records_page import PAGE, usage_records_page


def test_the_page_is_fresh() -> None:
    """`python -m tools.usage_records_page` would change nothing."""
    written = PAGE.read_text(encoding="utf-8")

    assert written == usage_records_page(), "run `python -m tools.usage_records_page`"
