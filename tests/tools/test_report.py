"""The names are those of the line of a finished connection in the interface's description."""

import json
from collections import Counter

from ao.ends import endpoint
from tools.report import NAMES, json_line, text_line, unconnected

REPORT = {
    "peer": ("10.0.0.1", 80),
    "local": ("fd00::2", 4000),
    "mode": "ao-enc-dh",
    "octets_in": 7,
    "drops": Counter(ao_bad_mac=1),
    "session_id": bytes.fromhex("a0ff"),
    "error": None,
}


def test_every_name_is_there_and_plain() -> None:
    line = json.loads(json_line(REPORT))
    assert tuple(line) == NAMES
    assert line["peer"] == "10.0.0.1:80"
    assert line["local"] == "[fd00::2]:4000"
    assert line["drops"] == {"ao_bad_mac": 1}
    assert line["session_id"] == "a0ff"
    assert line["error"] is None
    assert line["placement"] is None


def test_one_line_whatever_the_text() -> None:
    assert "\n" not in json_line(REPORT, "two\nlines")


def test_the_connections_own_error_comes_first() -> None:
    assert json.loads(json_line({**REPORT, "error": "reset"}, "broken pipe"))["error"] == "reset"
    assert json.loads(json_line(REPORT, "broken pipe"))["error"] == "broken pipe"


def test_what_a_tool_adds_stands_behind() -> None:
    line = json.loads(json_line({**REPORT, "ttl": 64}, forward="web"))
    assert line["ttl"] == 64
    assert line["forward"] == "web"
    assert tuple(line)[: len(NAMES)] == NAMES


def test_drops_are_a_table_even_without_a_connection() -> None:
    line = json.loads(json_line(unconnected("10.0.0.1:80", "ao", "no route", 0.25)))
    assert line["drops"] == {}
    assert (line["peer"], line["requested"], line["error"], line["seconds"]) == (
        "10.0.0.1:80",
        "ao",
        "no route",
        0.25,
    )


def test_brackets() -> None:
    assert endpoint("::1", 80) == "[::1]:80"
    assert endpoint("127.0.0.1", 80) == "127.0.0.1:80"


def test_text_names_the_trouble() -> None:
    assert "error: timed out" in text_line(REPORT, "timed out")
    assert "error" not in text_line(REPORT)
    assert "1 drops" in text_line(REPORT)
