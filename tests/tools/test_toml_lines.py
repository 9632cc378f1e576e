import tomllib

import pytest

from tools.toml_lines import Lines, syntax_error

TEXT = '''# a comment
[tun]  # the device
name = "x"
addr = [
  "10.0.0.2/24",
]
text = """
name = "not a key"
[[forward]]
"""
[[forward]]
listen = "a"
"quoted" = 1

[[ forward ]]
  listen = "b"
'''


@pytest.mark.parametrize(
    ("table", "number", "key", "line"),
    [
        ("tun", 0, "", 2),
        ("tun", 0, "name", 3),
        ("tun", 0, "addr", 4),
        ("tun", 0, "missing", 2),
        ("forward", 0, "", 11),
        ("forward", 0, "listen", 12),
        ("forward", 0, "quoted", 13),
        ("forward", 1, "listen", 16),
        ("forward", 2, "listen", 1),
        ("nothing", 0, "", 1),
    ],
)
def test_lines(table: str, number: int, key: str, line: int) -> None:
    assert Lines(TEXT).of(table, number, key) == line


def test_a_key_called_as_a_table() -> None:
    assert Lines("\nforward = [{}]\n").of("forward", 0, "listen") == 2


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb = = 2\n", 2), ("a = 1\na = 2", 2), ("\n\nx = [1,\n", 3), ("[tun\n", 1)]
)
def test_syntax(text: str, line: int) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    found, what = syntax_error(caught.value, text)
    assert found == line
    assert what
    assert "(at" not in what
