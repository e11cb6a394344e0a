"""A certificate holds only as it was signed: any byte of it or of its evidence gives it away."""

from __future__ import annotations

import base64
import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import example, given
from hypothesis import settings as limited
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner, SSlibKey
from typer.testing import CliRunner

from hil.certify.certificate import (
    CERTIFICATE_FILE,
    Misspelled,
    add_signature,
    envelope_of,
    good_signature,
    parse,
    to_bytes,
)
from hil.certify.issue import countersign, issue
from hil.certify.keys import load_public, load_signer, new_pair
from hil.certify.statement import PREDICATE_TYPE, STATEMENT_TYPE
from hil.certify.verify import Verification, names_below, verify
from hil.cli import app
from tests.certify.finished import finished_run, rewrite
from twin.errors import InputProblems


@dataclass(frozen=True)
class World:
    """An issued certificate, signed by A and B, and a third key that has nothing to do with it."""

    folder: Path
    certificate: Path
    keys: dict[str, Path]

    def public(self, name: str) -> SSlibKey:
        return load_public(self.keys[name].with_suffix(".pub"))

    def signer(self, name: str) -> CryptoSigner:
        return load_signer(self.keys[name])

    def check(self, *names: str, threshold: int | None = None) -> Verification:
        keys = [self.public(n) for n in names or ("a", "b")]
        return verify(self.certificate, keys, threshold=threshold, evidence=self.folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("certificate")
    keys = {name: new_pair(name, home / "keys").private for name in ("a", "b", "stranger")}
    folder = home / "run"
    finished_run(folder)
    certificate = issue(folder, [load_signer(keys["a"])])
    countersign(certificate, load_signer(keys["b"]))
    return World(folder, certificate, keys)


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    """A copy that a test may spoil."""
    shutil.copytree(made.folder, tmp_path / "run")
    return replace(made, folder=tmp_path / "run", certificate=tmp_path / "run" / CERTIFICATE_FILE)


# -- what is signed holds --------------------------------------------------------------------


def test_a_certificate_as_it_was_issued_holds(made: World) -> None:
    found = made.check()
    assert found.flaws == ()
    assert set(found.signed_by) == {made.public("a").keyid, made.public("b").keyid}
    assert found.files == len(names_below(made.folder)) - 1  # all but the certificate
    assert found.statement is not None
    assert found.statement.predicate.suitwin.evidence == "emulated"


def test_it_is_an_in_toto_statement_about_device_map_evidence_and_report(made: World) -> None:
    envelope = json.loads(made.certificate.read_bytes())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    said = json.loads(base64.b64decode(envelope["payload"]))
    assert (said["_type"], said["predicateType"]) == (STATEMENT_TYPE, PREDICATE_TYPE)
    names = [s["name"] for s in said["subject"]]
    assert len(names) == len(set(names))
    assert {"device emulated-storage", "register map storage-own", "certificate.html", "junit.xml",
            "record.json", "steps/response/rise/power.csv"} <= set(names)  # fmt: skip
    assert all(len(s["digest"]["sha256"]) == 64 for s in said["subject"])
    predicate = said["predicate"]
    assert predicate["result"] == "WARNED"  # something is inconclusive, nothing has failed
    assert predicate["passedTests"] == ["response/quick", "response/order", "response/band"]
    assert predicate["warnedTests"] == ["response/near", "response/flicker"]
    assert predicate["failedTests"] == []
    configured = [c["name"] for c in predicate["configuration"]]
    assert {"suite", "limits.toml", "versions", "seed", "bench", "instrument M1"} <= set(configured)
    every = [*said["subject"], *predicate["configuration"]]
    assert all(value is not None for one in every for value in one.values())


def test_anybody_can_verify_it_without_us(made: World) -> None:
    """DSSE by the letter (protocol.md): Ed25519 over the pre-authentication encoding."""
    said = json.loads(made.certificate.read_bytes())
    payload = base64.b64decode(said["payload"])
    kind = said["payloadType"].encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    by_id = {s["keyid"]: base64.b64decode(s["sig"]) for s in said["signatures"]}
    for name in ("a", "b"):
        pem = made.keys[name].with_suffix(".pub").read_bytes()
        key = load_pem_public_key(pem)
        assert isinstance(key, Ed25519PublicKey)
        key.verify(by_id[made.public(name).keyid], signed)  # raises where it does not fit


@pytest.mark.parametrize(
    ("more", "failed"),
    [({"fails": True}, ["response/quick"]),
     ({"safe": "not confirmed: silence"}, ["response/safe_state"])],
)  # fmt: skip
def test_what_failed_is_certified_as_failed(
    tmp_path: Path, more: dict[str, bool], failed: list[str]
) -> None:
    finished_run(tmp_path, **more)  # type: ignore[arg-type]
    envelope = parse(issue(tmp_path).read_bytes())
    predicate = json.loads(envelope.payload)["predicate"]
    assert (predicate["result"], predicate["failedTests"]) == ("FAILED", failed)


# -- one changed byte ------------------------------------------------------------------------


def test_no_bit_of_an_envelope_can_be_turned() -> None:
    """Blanks, field names, the spare bits of base64, key ids: all of them, bit by bit."""
    signer = CryptoSigner.generate_ed25519()
    envelope = envelope_of({"a": "电"})
    add_signature(envelope, signer)
    whole = to_bytes(envelope)
    for at in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        try:
            read = parse(bytes(changed))
        except Misspelled:
            continue
        assert not good_signature(read, signer.public_key), f"bit {at}: {bytes(changed)!r}"


@limited(max_examples=150)
@given(data=st.data())
def test_no_byte_of_a_certificate_can_be_changed(made: World, data: st.DataObject) -> None:
    whole = made.certificate.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda b: b != whole[at]))
    spoiled = made.certificate.with_name("spoiled.json")
    spoiled.write_bytes(whole[:at] + bytes([other]) + whole[at + 1 :])
    try:
        assert not verify(spoiled, [made.public("a"), made.public("b")]).good
    finally:
        spoiled.unlink()


@limited(max_examples=60)
@given(data=st.data())
@example(data=None)
def test_no_byte_of_the_evidence_can_be_changed(made: World, data: st.DataObject | None) -> None:
    names = [n for n in names_below(made.folder) if n != CERTIFICATE_FILE]
    name = names[0] if data is None else data.draw(st.sampled_from(names))
    path = made.folder / name
    whole = path.read_bytes()
    at = len(whole) - 1 if data is None else data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
    try:
        found = made.check()
    finally:
        path.write_bytes(whole)
    assert [f.place for f in found.flaws] == [name]
    assert "changed" in found.flaws[0].wrong


@pytest.mark.parametrize("cut", [0, 1, 100, -1], ids=["empty", "one", "hundred", "last"])
def test_a_certificate_cut_short_is_none(world: World, cut: int) -> None:
    whole = world.certificate.read_bytes()
    world.certificate.write_bytes(whole[:cut])
    assert not world.check().good


# -- files ------------------------------------------------------------------------------------


def test_a_missing_file_is_found(world: World) -> None:
    (world.folder / "steps/response/rise/power.csv").unlink()
    assert [str(f) for f in world.check().flaws] == ["steps/response/rise/power.csv: is missing"]


def test_evidence_that_is_elsewhere_is_not_taken_for_good(world: World, tmp_path: Path) -> None:
    shutil.copy(world.certificate, tmp_path / "copy.json")
    call = ["verify-certificate", str(tmp_path / "copy.json")]
    for name in ("a", "b"):
        call += ["--key", str(world.keys[name].with_suffix(".pub"))]
    (tmp_path / "other.txt").touch()
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 1
    shutil.rmtree(tmp_path / "run" / "steps")
    assert CliRunner().invoke(app, [*call, "--evidence", str(world.folder)]).exit_code == 1
    assert CliRunner().invoke(app, [*call, "--signatures-only"]).exit_code == 0


def test_a_copy_of_the_certificate_among_the_evidence_is_none_of_it(
    world: World, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.json"
    shutil.copy(world.certificate, copy)
    keys = [world.public(n) for n in ("a", "b")]
    assert verify(copy, keys, evidence=world.folder).good
    (world.folder / "other.json").write_bytes(copy.read_bytes())
    assert not verify(copy, keys, evidence=world.folder).good


def test_an_added_file_is_found(world: World) -> None:
    (world.folder / "steps/response/rise/better.csv").write_text("time_s\n")
    flaws = world.check().flaws
    assert [str(f) for f in flaws] == [
        "steps/response/rise/better.csv: is not in the certificate"
    ]  # fmt: skip


def test_a_renamed_file_is_found(world: World) -> None:
    inside = world.folder / "steps/response/rise"
    (inside / "power.csv").rename(inside / "power2.csv")
    assert len(world.check().flaws) == 2


@pytest.mark.parametrize("what", ["file", "folder", "pipe"])
def test_what_is_no_file_is_found(world: World, tmp_path: Path, what: str) -> None:
    """A link to the very same bytes could be pointed elsewhere after the check."""
    inside = world.folder / "steps/response/rise"
    if what == "folder":
        inside.rename(tmp_path / "elsewhere")
        inside.symlink_to(tmp_path / "elsewhere")
    else:
        (inside / "power.csv").rename(tmp_path / "power.csv")
        if what == "file":
            (inside / "power.csv").symlink_to(tmp_path / "power.csv")
        else:
            os.mkfifo(inside / "power.csv")
    assert not world.check().good


# -- keys --------------------------------------------------------------------------------------


def test_all_keys_must_have_signed_and_nobody_else(made: World) -> None:
    assert made.check("a", "b").good
    assert "not given" in str(made.check("a").flaws[0])
    assert {f.wrong for f in made.check("a", "b", "stranger").flaws} == {"has not signed this"}
    assert not made.check("stranger").good


def test_a_threshold_of_several(made: World) -> None:
    assert made.check("a", "stranger", threshold=1).good
    assert made.check("a", threshold=1).others == (made.public("b").keyid,)
    assert made.check("a", "b", "stranger", threshold=2).good
    assert not made.check("a", "stranger", threshold=2).good
    assert not made.check("stranger", threshold=1).good


def test_one_key_twice_is_one_key(made: World) -> None:
    with pytest.raises(InputProblems, match="1 to 1"):
        made.check("a", "a", threshold=2)


def test_a_signature_moved_to_another_key_is_bad(world: World) -> None:
    """B's signature under A's name: A is known, the signature is not A's."""
    said = json.loads(world.certificate.read_bytes())
    first, second = said["signatures"]
    first["sig"], second["sig"] = second["sig"], first["sig"]
    world.certificate.write_bytes((json.dumps(said, indent=1, sort_keys=True) + "\n").encode())
    assert len([f for f in world.check().flaws if "does not fit" in f.wrong]) == 2
    assert not world.check("a", "b", threshold=1).good


def test_what_nobody_signed_is_no_certificate(tmp_path: Path, made: World) -> None:
    finished_run(tmp_path)
    found = verify(issue(tmp_path), [made.public("a")], evidence=tmp_path)
    assert "nobody has signed this" in {f.wrong for f in found.flaws}


def test_a_good_signature_under_something_else_is_no_certificate(
    world: World,
) -> None:
    envelope = envelope_of({"_type": STATEMENT_TYPE, "subject": [], "predicateType": "x"})
    add_signature(envelope, world.signer("a"))
    world.certificate.write_bytes(to_bytes(envelope))
    assert {f.place for f in world.check("a").flaws} == {"statement"}


def test_names_do_not_leave_the_folder(world: World) -> None:
    """A signer may be a fool, too: nothing outside the evidence is ever read."""
    said = json.loads(parse(world.certificate.read_bytes()).payload)
    said["subject"][-1]["name"] = "../../etc/passwd"
    envelope = envelope_of(said)
    add_signature(envelope, world.signer("a"))
    world.certificate.write_bytes(to_bytes(envelope))
    assert "../../etc/passwd" in {f.place for f in world.check("a").flaws}


# -- issuing -----------------------------------------------------------------------------------


def test_evidence_that_changed_before_issuing_is_refused(tmp_path: Path) -> None:
    finished_run(tmp_path)
    (tmp_path / "steps/response/rise/power.csv").write_text("time_s,power_kw\n0,1\n")
    (tmp_path / "other.csv").write_text("")
    with pytest.raises(InputProblems) as caught:
        issue(tmp_path)
    assert {p.value for p in caught.value.problems} == {
        "changed since the run",
        "not in the record",
    }


def test_a_private_key_is_never_handed_out(tmp_path: Path, made: World) -> None:
    shutil.copy(made.keys["a"], tmp_path / "notes.txt")
    finished_run(tmp_path)
    with pytest.raises(InputProblems, match="holds a private key"):
        issue(tmp_path, [made.signer("a")])
    assert not (tmp_path / CERTIFICATE_FILE).exists()


def test_a_report_never_holds_the_private_key(made: World) -> None:
    secret = made.keys["a"].read_text().splitlines()[1]
    for name in names_below(made.folder):
        assert secret.encode() not in (made.folder / name).read_bytes()


def test_issuing_again_gives_the_same_statement(world: World) -> None:
    before = parse(world.certificate.read_bytes()).payload
    issue(world.folder, [world.signer("a")])
    assert parse(world.certificate.read_bytes()).payload == before


def test_nobody_countersigns_what_was_changed(world: World) -> None:
    rewrite(world.folder / "record.json", seed=8)
    with pytest.raises(InputProblems, match="SHA-256"):
        countersign(world.certificate, world.signer("stranger"))
