"""Key files, and signing and verifying by command."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hil.certify.issue import issue
from hil.certify.keys import load_public, load_signer, new_pair
from hil.cli import app
from tests.certify.finished import finished_run
from twin.errors import InputProblems

# -- key files -----------------------------------------------------------------------------------


def test_a_private_key_is_for_its_owner_only(tmp_path: Path) -> None:
    made = new_pair("bench-1", tmp_path)
    assert stat.S_IMODE(made.private.stat().st_mode) == 0o600
    assert load_signer(made.private).public_key == load_public(made.public)
    made.private.chmod(0o644)
    with pytest.raises(InputProblems, match="chmod 600"):
        load_signer(made.private)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "名"])
def test_a_key_has_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputProblems, match="letters, digits"):
        new_pair(name, tmp_path)


def test_no_key_is_overwritten_and_none_is_made_among_evidence(tmp_path: Path) -> None:
    new_pair("a", tmp_path)
    (tmp_path / "record.json").touch()
    with pytest.raises(InputProblems) as caught:
        new_pair("a", tmp_path)
    assert len(caught.value.problems) == 3


def test_the_wrong_half_of_a_pair_is_called_by_name(tmp_path: Path) -> None:
    made = new_pair("a", tmp_path)
    with pytest.raises(InputProblems, match="a public key"):
        load_signer(made.public)
    with pytest.raises(InputProblems, match="a private key: keep it"):
        load_public(made.private)
    (tmp_path / "x").write_text("nonsense")
    for load in (load_signer, load_public):
        with pytest.raises(InputProblems, match="no key"):
            load(tmp_path / "x")
        with pytest.raises(InputProblems, match="No such file"):
            load(tmp_path / "y")


# -- command line --------------------------------------------------------------------------------


def test_keys_sign_verify_by_command(tmp_path: Path) -> None:
    run, home = CliRunner().invoke, str(tmp_path)
    assert run(app, ["keys", "new", "lab", "--dir", home]).exit_code == 0
    finished_run(tmp_path / "run")
    certificate = str(issue(tmp_path / "run"))
    assert run(app, ["sign", certificate, "--key", f"{home}/lab.key"]).exit_code == 0
    call = ["verify-certificate", certificate, "--key", f"{home}/lab.pub"]
    good = run(app, call)
    assert good.exit_code == 0, good.output
    assert "emulated-storage, 127.0.0.1:1502 unit 1" in good.output
    assert "VendorName suitwin" in good.output
    said = json.loads(run(app, [*call, "--json"]).output)
    assert (said["good"], said["evidence_checked"], said["files"]) == (True, True, 5)
    assert said["title"] == "Storage, tested on an emulated device"
    alone = json.loads(run(app, [*call, "--json", "--signatures-only"]).output)
    assert (alone["good"], alone["evidence_checked"]) == (True, False)
    with (tmp_path / "run/record.json").open("a") as file:
        file.write(" ")
    assert run(app, call).exit_code == 1
    said = json.loads(run(app, [*call, "--json"]).output)
    assert said["flaws"] == [
        {"place": "record.json", "wrong": "was changed: its SHA-256 is not the certified one"}
    ]


def test_everything_wrong_with_a_call_is_said_at_once(tmp_path: Path) -> None:
    call = ["verify-certificate", str(tmp_path / "no.json"), "--key", str(tmp_path / "no.pub")]
    result = CliRunner().invoke(app, call)
    assert isinstance(result.exception, InputProblems)
    key = new_pair("a", tmp_path).public
    call = ["verify-certificate", str(tmp_path / "no.json"), "--key", str(key),
            "--threshold", "2", "--evidence", str(tmp_path / "nowhere")]  # fmt: skip
    result = CliRunner().invoke(app, call)
    assert isinstance(result.exception, InputProblems)
    assert len(result.exception.problems) == 3
