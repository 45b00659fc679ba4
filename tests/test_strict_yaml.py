"""Whatever the file, reading it ends soon, with its content or with one line that says what is wrong."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adrefine import params, strict_yaml
from adrefine.errors import UserError

FILE = """\
noise:
  level: 0.2
  mode: no_overlap # or overlap
embed: {backbone: efficientnet_lite0, weights: null}
osr:
  mode: threshold
  lambda: 1.5
""".splitlines()
LAUGHS = "a0: &a0 [x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)


def refused(path: Path, content: bytes | str) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    start = time.perf_counter()
    with pytest.raises(UserError) as caught:
        params.load(path)
    assert time.perf_counter() - start < 20
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    assert message.startswith(str(path))
    return message


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("2026-13-45", "cannot be read as timestamp"),
        ("!!timestamp soon", "cannot be read as timestamp"),
        ("2026-01-31", "valid integer"),
        ("!!bool x", "cannot be read as bool"),
        ("!!int x", "cannot be read as int"),
        ("!!float x", "cannot be read as float"),
        ("!!binary ö", "cannot be read as binary"),
        ("!!python/object:os.system x", "cannot be read as python/object:os.system"),
        ("0b_", "cannot be read as int"),
        ("0x_", "cannot be read as int"),
        ("9" * 5000, "cannot be read as int"),
        ("1e26", "as an integer"),
        ("1" + 26 * "0", "at most 2^63 - 1"),
        ("-9223372036854775808", "at most 2^63 - 1"),
        ("1.0e+26", "as an integer"),
        ("010", "without leading 0"),
        ("1:30", "without leading 0 or `:`"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_key(tmp_path, value, why):
    message = refused(tmp_path / "params.yaml", f"dataset: {{name: demo}}\nnoise:\n  seed: {value}\n")
    assert "`noise.seed`" in message
    assert why in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 500, "line 1: sections and lists are nested more than 20 deep"),
        ("a: " + "{b: " * 500 + "}" * 500, "more than 20 deep"),
        ("".join(" " * n + f"k{n}:\n" for n in range(400)), "more than 20 deep"),
        (LAUGHS, "more than 20000 keys and values"),
        (MERGES, "more than 20000 keys and values"),
        ("osr: &a\n  lambda: *a\n", "line 1: it contains an alias of itself"),
        ("a: 1\n" * 100_000, "500000 bytes: a file of settings may have at most 262144"),
        ("? [a]\n: 1\n", "not valid YAML"),
        ("? {a: 1}\n: 1\n", "not valid YAML"),
        ("noise:\n  n_train: !\n", "line 2: a lone `!`"),
        ("a: *nobody\n", "not valid YAML: found undefined alias 'nobody'"),
        ("%YAML 3.0\n--- 1\n", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("a: \x00\n", "not valid YAML"),
    ],
)
def test_what_would_break_or_never_end_is_refused(tmp_path, text, says):
    assert says in refused(tmp_path / "params.yaml", text)


def test_numbers_that_all_yaml_reads_alike_and_text_in_quotes_pass():
    assert strict_yaml.loads("a: [0, -1, 1_000, 0.5, 0x1F, '1e3', 0, -0.5, '010', '1:30', 00x, .5]") == {
        "a": [0, -1, 1000, 0.5, 31, "1e3", 0, -0.5, "010", "1:30", "00x", 0.5]
    }


def test_numbers_without_a_dot_are_those_that_dvc_reads(tmp_path):
    """DVC fills the name of the folder into the graph, and would look for another one."""
    from dvc.utils.serialize import load_yaml

    path = tmp_path / "params.yaml"
    path.write_text("a: [1e3, 2E-4, 0o17, -1e5, 1.5e3, 1e999, '1e3', 1e, e3]\n")
    assert strict_yaml.read(path) == load_yaml(str(path))
    path.write_text("dataset: {name: folder, root: 1e5}\n")
    with pytest.raises(UserError, match=r"`dataset\.root` = 100000\.0: .* string"):
        params.load(path)


def test_an_alias_is_its_value_wherever_it_stands():
    assert strict_yaml.loads("a: &x [1, 2]\nb: *x\nc: {<<: {d: 3}, e: *x}") == {
        "a": [1, 2], "b": [1, 2], "c": {"d": 3, "e": [1, 2]},
    }  # fmt: skip


def only_a_line(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    try:
        params.load(file)
    except UserError as error:
        assert str(error).count("\n") == 0  # noqa: PT017  a mistake may be none


@given(
    st.binary(max_size=200) | st.text("[]{}!&*:,-?|>%@'\"#\n 0123456789.eE+_xbotrue\t\\u~<=", max_size=120)
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(b"\xff\xfe[\x00")
@example('a: "\\ud800"\n')
@example("{\ud800: 1}")
def test_any_bytes_are_content_or_one_line(tmp_path, text):
    raw = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    only_a_line(tmp_path / "params.yaml", raw)


SCALARS = st.sampled_from(
    [
        *("2026-01-31", "2026-99-99", "!!bool x", "!!null x", "0b_", "1" * 5000, "1e26", "1.0e+400", ".nan"),
        *("-.inf", "[]", "{}", "~", "yes", "'", '"', "&a *a", "*b", "!x", "@", "%", "-1", "\t", "|\n", "0o8"),
    ]
)


@given(st.integers(0, len(FILE) - 1), SCALARS | st.text(max_size=6))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_in_place_of_one_of_ours_is_read_or_one_line(tmp_path, line, value):
    lines = FILE.copy()
    key, colon, _ = lines[line].partition(":")
    lines[line] = f"{key}{colon} {value}"
    only_a_line(tmp_path / "params.yaml", "\n".join(lines).encode(errors="surrogatepass"))


@pytest.mark.parametrize(
    "content",
    [
        *("key: [", "a: 2026-13-45", "a: !!bool x", "a: " + "9" * 5000, "[" * 100_000, "a: &a [*a]", LAUGHS),
        *("a: !!python/object:os.system x", "a: \x00", "- a", "text", "", b"\xff\xfe", "a: 1\n---\nb: 2\n"),
        *("a: 1\na: 2\n", "a: {b: 1, b: 1}"),  # DVC reads neither
        *("{[a]: 1}", "%YAML 3.0\n--- 1\n", "\ud800"),
    ],
)
def test_what_a_program_wrote_and_cannot_be_read_holds_nothing(content):
    start = time.perf_counter()
    assert strict_yaml.mapping(content) == {}
    assert time.perf_counter() - start < 20


def test_what_a_program_wrote_may_be_long():
    text = yaml.safe_dump({f"stage{n}": {"deps": [{"path": "p", "md5": "a" * 32}]} for n in range(4_000)})
    assert len(text) > 256 * 1024
    assert len(strict_yaml.mapping(text)) == 4_000


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(TREES)
@settings(max_examples=200, deadline=None)
def test_what_pyyaml_writes_is_read_back_as_it_does(tree):
    text = yaml.safe_dump(tree, allow_unicode=True)
    assert strict_yaml.loads(text) == yaml.safe_load(text)
    if text.isascii():  # libyaml takes some other signs for ends of lines
        assert strict_yaml.mapping(text) == (tree if isinstance(tree, dict) else {})


def test_no_other_module_reads_yaml():
    """Every reader is bounded, and answers whatever stands in a file."""
    package = Path(strict_yaml.__file__).parent
    readers = re.compile(r"yaml\.(safe_load|load|full_load|unsafe_load|compose|parse)\b")
    files = [*package.rglob("*.py"), *(package.parents[1] / "flows").rglob("*.py")]
    assert [file.name for file in files if readers.search(file.read_text())] == ["strict_yaml.py"]
