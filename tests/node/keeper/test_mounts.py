"""A process's own view of the file system, in each tier that this machine allows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from roadstead.node.agent import isolation
from tests.node.keeper.box import Box


@pytest.fixture(scope="module", params=[isolation.ROOT, isolation.USERNS])
def tier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    wanted: str = request.param
    if wanted == isolation.ROOT and os.geteuid() != 0:
        pytest.skip("needs root")
    why = isolation.try_tier(wanted, tmp_path_factory.mktemp("probe"))
    if why:
        pytest.skip(f"this machine does not allow it: {why}")
    return wanted


def bind(source: Path, target: str, *, read_only: bool = False) -> dict[str, object]:
    return {"source": os.fspath(source), "target": target, "read_only": read_only}


def test_a_volume_is_where_it_was_asked_for_though_the_machine_has_no_such_place(
    box: Box, tier: str, tmp_path: Path
) -> None:
    binds = [bind(tmp_path, "/data-of-a-test/deep/er")]
    end, log = box.run("echo hello > /data-of-a-test/deep/er/file; ls -A /", isolation=tier, binds=binds)
    assert end.exit_code == 0, (end, log)
    assert (tmp_path / "file").read_text() == "hello\n"
    assert not Path("/data-of-a-test").exists()
    assert set(os.listdir("/")) <= set(log.split())


def test_a_missing_mount_point_in_a_directory_of_the_machine_leaves_its_entries_in_view(
    box: Box, tier: str, tmp_path: Path
) -> None:
    (tmp_path / "setting").write_text("value")
    end, log = box.run(
        "cat /etc/of-a-test/setting /etc/passwd; ls /etc | wc -l",
        isolation=tier,
        binds=[bind(tmp_path, "/etc/of-a-test")],
    )
    assert end.exit_code == 0, (end, log)
    assert log.startswith("value" + Path("/etc/passwd").read_text())
    assert int(log.split()[-1]) == len([name for name in os.listdir("/etc") if not name.startswith(".")]) + 1
    assert not Path("/etc/of-a-test").exists()


def test_links_on_the_way_to_a_mount_point_are_followed(box: Box, tier: str, tmp_path: Path) -> None:
    """/var/run is such a link nearly everywhere."""
    (tmp_path / "token").write_text("t")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "kept").write_text("k")
    (tmp_path / "link").symlink_to("real")
    end, log = box.run(
        f"cat {tmp_path}/link/a/b/token {tmp_path}/real/a/b/token {tmp_path}/real/kept",
        isolation=tier,
        binds=[bind(tmp_path, f"{tmp_path}/link/a/b", read_only=True)],
    )
    assert (end.exit_code, log) == (0, "ttk")
    assert not (tmp_path / "real" / "a").exists()


def test_a_read_only_volume_refuses_writes(box: Box, tier: str, tmp_path: Path) -> None:
    binds = [bind(tmp_path, "/mnt", read_only=True)]
    end, log = box.run("touch /mnt/x", isolation=tier, binds=binds)
    assert end.exit_code != 0
    assert "Read-only file system" in log
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("below", ["dir", "inner", "dir/file"])
def test_a_part_of_a_volume_is_mounted(box: Box, tier: str, tmp_path: Path, below: str) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_text("inside")
    (tmp_path / "inner").symlink_to("dir")
    part = {**bind(tmp_path / below, "/part-of-a-test"), "within": os.fspath(tmp_path)}
    end, log = box.run(
        "cat /part-of-a-test /part-of-a-test/file 2> /dev/null; true",
        isolation=tier,
        binds=[part, bind(tmp_path, "/whole-of-a-test")],
    )
    assert (end.exit_code, log) == (0, "inside"), end


@pytest.mark.parametrize("below", ["link", "link/dir", "up/link"])
def test_a_part_of_a_volume_that_has_become_a_link_out_of_it_is_not_mounted(
    box: Box, tier: str, tmp_path: Path, below: str
) -> None:
    """A pod can put the link there after the agent has looked."""
    outside, volume = tmp_path / "outside", tmp_path / "volume"
    (outside / "dir").mkdir(parents=True)
    volume.mkdir()
    (volume / "link").symlink_to(outside)
    (volume / "up").symlink_to(".")
    part = {**bind(volume / below, "/part-of-a-test"), "within": os.fspath(volume)}
    end, _ = box.run("true", isolation=tier, binds=[part])
    assert (end.exit_code, end.reason) == (128, "StartError")
    assert "by a symbolic link: remove the link" in end.message


def test_a_volume_inside_a_volume_hides_nothing_of_the_outer_one(box: Box, tier: str, tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "inner"
    for path in (outer, inner):
        path.mkdir()
        (path / "name").write_text(path.name)
    end, log = box.run(
        "cat /data-of-a-test/name /data-of-a-test/in/name",
        isolation=tier,
        binds=[bind(inner, "/data-of-a-test/in"), bind(outer, "/data-of-a-test")],
    )
    assert (end.exit_code, log) == (0, "outerinner")


def test_the_hosts_file_is_the_pods_own_and_follows_changes_in_place(box: Box, tier: str, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.64.0.9 first\n")
    run_id = box.start(
        "cat /etc/hosts; until grep -q second /etc/hosts; do sleep 0.01; done; cat /etc/hosts",
        isolation=tier,
        binds=[bind(hosts, "/etc/hosts")],
    )
    box.until_log(run_id, "first")
    hosts.write_text("127.64.0.9 first\n127.64.0.8 second\n")
    assert box.end_of(run_id).exit_code == 0
    assert box.log(run_id).endswith("127.64.0.8 second\n")


def test_the_host_name_is_the_pods(box: Box, tier: str) -> None:
    end, log = box.run("uname -n", isolation=tier, hostname="job-0")
    assert (end.exit_code, log) == (0, "job-0\n")
    assert os.uname().nodename != "job-0"


def test_a_process_stays_the_user_it_was(box: Box, tier: str) -> None:
    end, log = box.run("id -u; id -g", isolation=tier)
    assert (end.exit_code, log.split()) == (0, [str(os.getuid()), str(os.getgid())])


def test_a_mount_that_fails_is_an_end_that_says_so(box: Box, tier: str, tmp_path: Path) -> None:
    end, _ = box.run("true", isolation=tier, binds=[bind(tmp_path / "missing", "/mnt")])
    assert (end.exit_code, end.reason) == (128, "StartError")
    assert "missing on /mnt: No such file or directory" in end.message


def test_the_process_dies_with_its_shim_in_every_tier(own_box: Box, tier: str) -> None:
    run_id = own_box.start("echo up; sleep 100 & sleep 100", isolation=tier)
    own_box.until_log(run_id, "up")
    os.kill(own_box.shim_of(run_id), 9)
    assert own_box.end_of(run_id).reason == "ShimLost"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a process to another user")
def test_root_can_run_a_process_as_another_user(box: Box) -> None:
    user = {"uid": 65534, "gid": 65534, "groups": []}
    end, log = box.run("id -u; id -g; id -G", user=user)
    assert (end.exit_code, log.split()) == (0, ["65534", "65534", "65534"])
