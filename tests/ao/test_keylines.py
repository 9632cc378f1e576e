from ao.keylines import KeyLines


def test_blank_lines_belong_to_no_table() -> None:
    lines = KeyLines("\n[[mkt]]\nsend_id = 1\n\n[[mkt]]\n\n  send_id = 2\n")
    assert [lines.key(index, "send_id") for index in (0, 1)] == [3, 7]
    assert [lines.key(index, "mac") for index in (0, 1)] == [2, 5]


def test_a_value_over_several_lines_hides_what_looks_like_a_key() -> None:
    lines = KeyLines('[[mkt]]\nname = """\nsend_id = 1\n[[mkt]]\n"""\nsend_id = 2\n')
    assert lines.key(0, "send_id") == 6
