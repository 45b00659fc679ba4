"""`adrefine review`: what waits for an answer, and answers that are never lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from adrefine import cli, review
from adrefine.errors import UserError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    ids = ["ab01", "ab02", "abcd", "12e4", "test9"]
    split = ["train"] * 4 + ["test"]
    table = pd.DataFrame({"image_id": ids, "path": [f"images/{name}.png" for name in ids], "split": split})
    queue = table.iloc[[2, 0, 3, 1]].assign(
        kept=1, doubt=[0.5, 0.4, 0.3, ""], reason="kept, 3% under the limit"
    )
    for folder, rows, name in (("noisy", table, "manifest.csv"), ("refined", queue, "review_queue.csv")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        rows.to_csv(tmp_path / "data" / folder / name, index=False)
    (tmp_path / "data/review.csv").write_text("image_id,verdict,note\n")
    return tmp_path


def answers() -> str:
    return Path("data/review.csv").read_text()


def test_the_list_is_in_order_and_says_how_to_answer(project, capsys):
    cli.run(["review"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 photos have no answer yet, 0 have one. The most doubtful:"
    assert [line.split()[0] for line in lines[1:5]] == ["abcd", "ab01", "12e4", "ab02"]
    assert lines[1] == "  abcd  kept, 3% under the limit  images/abcd.png"
    assert lines[5].endswith("adrefine review abcd keep")
    assert lines[-1] == "Answers are in data/review.csv; `dvc repro` applies them."


def test_the_list_says_what_each_voter_says_where_there_is_evidence(project, capsys):
    (project / "data/refined/evidence.csv").write_text(
        "image_id,held_out,voter,weight,rank,score,row,column\n"
        "abcd,0,places,0.75,1,8.5,4,7\nabcd,0,pooled,0.25,2,1.5,,\n"
    )
    cli.run(["review"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == (
        "      one place: score 8.5, rank 1 of 1, weight 0.75; as a whole: 1.5, 2, "
        "0.25; oddest at row 4, column 7"
    )
    assert lines[3].startswith("  ab01")
    assert lines[4].startswith("  12e4")
    cli.run(["review", "--json"])
    queue = json.loads(capsys.readouterr().out)["unanswered"]
    assert (queue[0]["places_rank"], queue[0]["pooled_score"]) == (1, 1.5)
    assert "places_rank" not in queue[1]


def test_the_list_leaves_out_what_was_answered_since(project, capsys):
    for name in ("abcd", "ab01"):
        cli.run(["review", name, "keep"])
    capsys.readouterr()
    cli.run(["review"])
    shown = capsys.readouterr().out
    assert "2 photos have no answer yet, 2 have one" in shown
    assert "abcd" not in shown
    for name in ("12e4", "ab02"):
        cli.run(["review", name, "keep"])
    capsys.readouterr()
    cli.run(["review"])
    assert capsys.readouterr().out.startswith("0 photos have no answer yet, 4 have one")


def test_answers_pile_up_and_a_new_one_replaces_the_old(project, capsys):
    cli.run(["review", "abc", "remove", "--note", 'scratch, "deep"\nleft'])
    cli.run(["review", "12e4", "keep"])
    assert answers() == 'image_id,verdict,note\nabcd,remove,"scratch, ""deep"" left"\n12e4,keep,\n'
    capsys.readouterr()
    cli.run(["review", "abcd", "keep"])
    assert capsys.readouterr().out == (
        'data/review.csv: keep abcd (was: remove scratch, "deep" left). `dvc repro` applies it.\n'
    )
    assert answers() == "image_id,verdict,note\nabcd,keep,\n12e4,keep,\n"


def test_an_answer_by_hand_and_one_on_a_photo_that_has_gone_stay(project):
    Path("data/review.csv").write_bytes(
        "\ufeffImage_ID;Verdict;Note\r\ngone;Remove;Öl\r\nab01;keep;\r\n".encode()
    )
    cli.run(["review", "ab02", "remove"])
    assert answers() == "image_id,verdict,note\ngone,remove,Öl\nab01,keep,\nab02,remove,\n"


def test_a_file_with_a_slip_is_left_alone(project):
    Path("data/review.csv").write_text("image_id,verdict\nab01,perhaps\n")
    with pytest.raises(UserError, match="line 2: verdict 'perhaps'"):
        cli.run(["review", "ab02", "remove"])
    assert answers() == "image_id,verdict\nab01,perhaps\n"


def test_a_write_that_fails_leaves_the_old_answers(project, monkeypatch):
    cli.run(["review", "ab01", "keep"])
    before = answers()
    monkeypatch.setattr("os.replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        cli.run(["review", "ab02", "keep"])
    assert answers() == before
    assert sorted(path.name for path in Path("data").iterdir()) == [
        *(".review.csv.lock", "noisy", "refined", "review.csv")
    ]


def test_without_a_file_one_is_made(project):
    Path("data/review.csv").unlink()
    cli.run(["review", "ab01", "keep"])
    assert list(review.read(Path("data/review.csv"))) == ["ab01"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ab", "keep"], "3 training photos have an id that begins with 'ab': give more of it"),
        (["zz", "keep"], "no training photo has an id that begins with 'zz'"),
        (["test9", "keep"], "no training photo has an id that begins with 'test9'"),
        (["abcd"], "no answer was given for abcd: add keep, remove or unsure"),
    ],
)
def test_what_cannot_be_answered_is_refused(project, arguments, says):
    with pytest.raises(UserError, match=says):
        cli.run(["review", *arguments])
    assert answers() == "image_id,verdict,note\n"


def test_a_wrong_verdict_and_the_help_teach(project, capsys):
    with pytest.raises(SystemExit):
        cli.run(["review", "abcd", "delete"])
    assert "keep" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.run(["review", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for text in ("data/review.csv", "overrides every strategy", "delete its line", "--note", "&& dvc repro"):
        assert text in shown


def test_before_any_run_it_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"review_queue\.csv is missing: run `dvc repro`"):
        cli.run(["review"])


def test_answers_given_at_the_same_time_are_all_kept(project):
    """Eight at once, three times: 24 answers, none lost."""
    ids = [f"{number:04x}" for number in range(24)]
    answer = (
        "import sys; from adrefine import review; from pathlib import Path\n"
        "for name in sys.argv[1:]:\n"
        "    with review.changing(Path('data/review.csv')) as all: all[name] = review.Answer('keep')"
    )
    commands = [
        subprocess.Popen([sys.executable, "-c", answer, *ids[start : start + 3]]) for start in range(0, 24, 3)
    ]
    assert [command.wait() for command in commands] == [0] * 8
    assert sorted(review.read(Path("data/review.csv"))) == ids


def test_a_linked_file_of_answers_stays_a_link(project):
    shared = Path("shared.csv").resolve()
    shared.write_text("image_id,verdict,note\n")
    Path("data/review.csv").unlink()
    Path("data/review.csv").symlink_to(shared)
    cli.run(["review", "ab01", "keep", "--note", "=1+1"])
    assert Path("data/review.csv").is_symlink()
    assert shared.read_text() == "image_id,verdict,note\nab01,keep,'=1+1\n"
    assert review.read(Path("data/review.csv"))["ab01"].note == "=1+1"
