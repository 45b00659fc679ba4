"""data/review.csv: what people and spreadsheets write is understood, and no answer is lost over a slip."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adrefine import review
from adrefine.errors import UserError
from adrefine.review import Answer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "review.csv"


def read(file: Path, content: str | bytes) -> dict[str, tuple[str, str]]:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return {image_id: (answer.verdict, answer.note) for image_id, answer in review.read(file).items()}


ANSWERS = {"a1": ("keep", ""), "b2": ("remove", "scratch, left")}


@pytest.mark.parametrize(
    "content",
    [
        'image_id,verdict,note\na1,keep,\nb2,remove,"scratch, left"\n',
        "\ufeffimage_id;verdict;note\r\na1;keep;\r\nb2;remove;scratch, left\r\n;;\r\n",
        "image_id\tverdict\tnote\na1\tkeep\nb2\tremove\tscratch, left",
        ' Image_ID , VERDICT ,Note\n\n a1 , Keep ,\n b2 ,REMOVE,"scratch, left"\n',
        'note,image_id,verdict,,\n,a1,keep,,\n"scratch, left",b2,remove,,\n',
        'image_id,verdict,note\na1,keep,\na1,KEEP,\nb2,remove,"scratch, left"\nb2,remove,\n',
    ],
    ids=["plain", "spreadsheet", "tabs", "spaces and case", "other order", "twice the same"],
)
def test_what_people_and_spreadsheets_write(file: Path, content: str) -> None:
    assert read(file, content) == ANSWERS


@pytest.mark.parametrize("content", ["", "\n", "image_id,verdict,note\n", "image_id,verdict"])
def test_no_answer_yet(file: Path, content: str) -> None:
    assert read(file, content) == {}


def test_no_file_is_no_answer(file: Path) -> None:
    assert review.read(file) == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("image_id,verdict\na1,kepe\n", r"line 2: verdict 'kepe' of image a1: write keep, remove or unsure"),
        ("image_id,verdict\n\na1,\n", r"line 3: verdict '' of image a1: write keep, remove or unsure"),
        ("image_id,verdict\na1\n", r"line 2: verdict '' of image a1"),
        ("image_id,verdict\n,keep\n", r"line 2: no image_id"),
        (
            "image_id,verdict\na1,keep\nb2,keep\nA1,keep\na1,remove\n",
            r"lines 2 and 5: image a1 is to keep and to ",
        ),
        ('image_id,verdict,note\na1,keep,"two\nlines"\nb2,no,\n', r"line 4: verdict 'no'"),
        ("image_id,verdict,note\na1,keep,scratch, left\n", r"line 2: more cells than columns"),
        ("a1,keep\n", r"line 1: no column image_id: the first line must be image_id,verdict,note"),
        ("image_id,note\n", r"line 1: no column verdict"),
        ("image_id,verdict,notes\n", r"line 1: unknown column 'notes'"),
        ("image_id,verdict,verdict\n", r"line 1: a column appears twice"),
        ('image_id,verdict,note\na1,keep,"scratch\nb2,remove,\n', r"line 2: .*is a double quote missing\?"),
        (
            b"image_id,verdict,note\na1,keep,Kratzer \xfcber Rand\n",
            r"is not UTF-8 text: save it as CSV UTF-8",
        ),
    ],
)
def test_a_slip_is_named_with_its_line(file: Path, content: str | bytes, says: str) -> None:
    with pytest.raises(UserError, match=rf"review\.csv.*{says}"):
        read(file, content)


words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)
answers = st.dictionaries(
    words, st.builds(Answer, st.sampled_from(review.VERDICTS), st.lists(words).map(" ".join))
)


@given(answers)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, given_: dict[str, Answer]
) -> None:
    file = tmp_path_factory.getbasetemp() / "again.csv"
    review.write(file, given_)
    found = review.read(file)
    assert list(found) == list(given_)
    assert {i: (a.verdict, a.note) for i, a in found.items()} == {
        i: (a.verdict, a.note) for i, a in given_.items()
    }


def test_an_answer_on_an_image_that_has_gone_is_a_warning(file: Path) -> None:
    file.write_text("image_id,verdict\na1,keep\ngone,remove\n")
    found = review.warnings(file, review.read(file), {"a1"})
    assert found == [f"{file} line 3: gone is no training image now: its answer is ignored"]
