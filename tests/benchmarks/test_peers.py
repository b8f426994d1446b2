"""The comparison with other libraries: it runs without them, and says which are absent."""

from __future__ import annotations

from pathlib import Path

import peers
import pytest
from array_sides import SIDES as ARRAY_SIDES
from sides import SIDES

from conftest import REPOSITORY
from training import WORKS


def test_a_round_without_peers_measures_zoo_and_names_the_absent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sides = [peer for peer in peers.PEERS if peer.name not in ("in_memory", "zoo_near")]  # each takes seconds to start
    monkeypatch.setattr(peers, "PEERS", sides)
    monkeypatch.setattr(peers, "find_spec", lambda package: None)
    monkeypatch.setattr("sys.argv", ["peers.py", "--data", str(tmp_path), "--rounds", "1", "--seconds", "0", "linear3"])
    with pytest.raises(SystemExit) as left:
        peers.main()
    assert left.value.code == 0
    lines = {line[:34].strip(): line[34:] for line in capsys.readouterr().out.splitlines()}
    assert lines["the tutorial's loop"].split()[0] == "1.00"
    assert float(lines["zoo"].split()[0]) > 1
    for peer in sides[2:]:
        assert lines[peer.title].startswith(f" not installed: {', '.join(peer.needs)}")


def test_a_side_that_ends_says_its_last_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(peers, "PEERS", (peers.Peer("nobody", "Nobody"),))
    (work,) = (work for work in WORKS if work.spec == "linear3")
    assert not peers.compare(work, tmp_path, rounds=1, seconds=0)
    assert "Nobody                             failed: KeyError: 'nobody'" in capsys.readouterr().out


def test_every_peer_has_a_side() -> None:
    assert [peer.name for peer in peers.PEERS] == list(SIDES)
    assert set(ARRAY_SIDES) < set(SIDES)


def test_the_benchmark_extra_installs_every_peer() -> None:
    import tomllib

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extra = {requirement.partition(">")[0] for requirement in project["optional-dependencies"]["benchmark"]}
    assert extra == {package for peer in peers.PEERS for package in peer.needs}
