from __future__ import annotations

import pytest

from roadstead.slurm.language.configuration import ConfigurationError, records
from roadstead.slurm.language.fleet import Cluster, read

TUX = "GresTypes=gpu,mps,bandwidth\nNodeName=tux[0-7] Gres=gpu:tesla:2,gpu:kepler:2,mps:400,bandwidth:lustre:no_consume:4G\n"


def test_the_tux_line() -> None:
    cluster = read(TUX)
    assert [node.name for node in cluster.nodes] == [f"tux{number}" for number in range(8)]
    gres = {(item.name, item.type): (item.count, item.consumed) for item in cluster.nodes[0].gres}
    assert gres == {
        ("gpu", "tesla"): (2, True),
        ("gpu", "kepler"): (2, True),
        ("mps", ""): (400, True),
        ("bandwidth", "lustre"): (4 << 30, False),
    }
    node = cluster.placement_nodes(["tux3"])[0]
    assert [(device.type, device.index, device.shares) for device in node.devices] == [
        ("tesla", 0, 100),
        ("tesla", 1, 100),
        ("kepler", 2, 100),
        ("kepler", 3, 100),
    ]
    assert [(stock.type, stock.count, stock.consumed) for stock in node.stocks] == [("lustre", 4 << 30, False)]


def test_cores_say_which_socket_a_device_is_on() -> None:
    conf = TUX.replace("NodeName=tux[0-7]", "NodeName=tux[0-7] Sockets=2 CoresPerSocket=4")
    gres = "Name=gpu Type=tesla File=/dev/nvidia[0-1] Cores=0-3\nName=gpu Type=kepler File=/dev/nvidia[2-3] Cores=4-7\n"
    assert [device.socket for device in read(conf, gres).placement_nodes()[0].devices] == [0, 0, 1, 1]
    only = read(conf, gres.replace("Name=gpu", "NodeName=tux1 Name=gpu"))
    assert [device.socket for device in only.placement_nodes(["tux0", "tux1"])[0].devices] == [-1] * 4
    assert [device.socket for device in only.placement_nodes(["tux0", "tux1"])[1].devices] == [0, 0, 1, 1]


def test_defaults_hold_for_the_lines_that_follow() -> None:
    cluster = read("NodeName=DEFAULT CPUs=8\nNodeName=a\nNodeName=DEFAULT RealMemory=1000\nNodeName=b\n")
    assert [(node.cpus, node.memory) for node in cluster.nodes] == [(8, 1), (8, 1000)]


@pytest.mark.parametrize(
    ("line", "cpus", "shape"),
    [
        ("Sockets=2 CoresPerSocket=4 ThreadsPerCore=2", 16, (2, 4, 2)),
        ("Boards=2 SocketsPerBoard=2 CoresPerSocket=3", 12, (4, 3, 1)),
        ("CPUs=8 Sockets=2", 8, (2, 4, 1)),
        ("CPUs=8 Sockets=2 CoresPerSocket=4 ThreadsPerCore=2", 8, (2, 4, 1)),
        ("", 1, (1, 1, 1)),
    ],
)
def test_arithmetic_of_cpus(line: str, cpus: int, shape: tuple[int, int, int]) -> None:
    node = read(f"NodeName=a {line}\n").nodes[0]
    assert (node.cpus, (node.sockets, node.cores_per_socket, node.threads_per_core)) == (cpus, shape)


def test_partitions() -> None:
    cluster = read(
        "NodeName=a[0-3] Features=big\nNodeName=b\nNodeSet=bigs Feature=big\nPartitionName=DEFAULT MaxTime=60\n"
        "PartitionName=all Nodes=ALL Default=YES\nPartitionName=some Nodes=b,a1 MaxTime=5\nPartitionName=set Nodes=bigs\n"
    )
    assert {each.name: each.nodes for each in cluster.partitions} == {
        "all": ("a0", "a1", "a2", "a3", "b"),
        "some": ("a1", "b"),
        "set": ("a0", "a1", "a2", "a3"),
    }
    assert [each.attributes["maxtime"] for each in cluster.partitions] == ["60", "5", "60"]
    default = cluster.partition()
    assert default is not None
    assert default.name == "all"
    assert cluster.partition("none") is None


def test_syntax() -> None:
    found = list(
        records(
            'A="two words" B=x # note\n# only a note\nFoo\\#bar=1 \\\n  C=y\n\nInclude other.conf\n'.replace(
                "Foo\\#bar", "Foo"
            )
        )
    )
    assert [(record.line, record.attributes) for record in found] == [
        (1, {"a": "two words", "b": "x"}),
        (3, {"foo": "1", "c": "y"}),
        (6, {"include": "other.conf"}),
    ]
    assert next(iter(records("Reason=a\\#b\n"))).value == "a#b"


def test_included_files() -> None:
    cluster = read("Include nodes.conf\nPartitionName=p Nodes=ALL\n", "", {"nodes.conf": "NodeName=a\n"})
    assert cluster.partitions[0].nodes == ("a",)


@pytest.mark.parametrize(
    ("conf", "gres", "says"),
    [
        ("Foo bar", "", 'Parse error in file slurm.conf line 1: "Foo bar"'),
        ("NodeName=a\nNodeName=a", "", "Duplicated NodeName a in the config file, see slurm.conf line 1"),
        ("NodeName=DEFAULT NodeHostname=x", "", "not allowed with NodeName=DEFAULT"),
        ("NodeName=a CPUs=none", "", "cpus=none of node a is not a number above 0"),
        ("NodeName=a CPUs=5 Sockets=2 CoresPerSocket=4", "", "CPUs=5, but 2 sockets x 4 cores x 1 threads"),
        ("NodeName=a[2-1]", "", "Invalid hostlist: a[2-1]"),
        ("NodeName=a Gres=gpu:1", "", "names gpu, which is not among GresTypes="),
        ("GresTypes=gpu\nNodeName=a Gres=gpu:2,gpu:tesla:1", "", "with a type and without one"),
        ("GresTypes=gpu\nNodeName=a Gres=gpu:a:b:1", "", "is not name[:type][:no_consume]:count"),
        ("NodeName=a\nPartitionName=p Nodes=b", "", "has the node b, which no NodeName line defines"),
        ("PartitionName=p\nPartitionName=p", "", "Duplicated PartitionName p"),
        ("Include x", "", "Include x, which was not given"),
        ("GresTypes=gpu", "Name=gpu Count=3 File=/dev/nvidia[0-1]", "Count=3, but File names 2"),
        ("GresTypes=gpu", "Name=nic", "Name=nic is not among GresTypes=gpu"),
        ("GresTypes=gpu", "Name=gpu Cores=3-1", "Cores=3-1 is no list of core numbers"),
        ("GresTypes=gpu", "Name=gpu Count=x", "Count=x is no number"),
        ("GresTypes=gpu", "Name=gpu Cores=0-99999999999", "goes beyond core 65535"),
        ("NodeName=n[1-99999999]", "", "Too many hosts in range `1-99999999'; a range a-b holds at most 65536 names"),
        ("GresTypes=gpu\nNodeName=a Gres=gpu:99999999999", "", "node a has 99999999999 devices of gpu, at most 1024"),
        ("GresTypes=gpu\nNodeName=a Gres=gpu:x:1000,gpu:y:25", "", "node a has 1025 devices of gpu, at most 1024"),
    ],
)
def test_what_the_daemons_would_not_start_with(conf: str, gres: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(conf, gres)
    assert says in str(refused.value)


def test_a_file_is_called_by_its_name() -> None:
    with pytest.raises(ConfigurationError, match=r"in file prod\.conf line 2"):
        read("NodeName=a\nFoo bar\n", file="prod.conf")
    with pytest.raises(ConfigurationError, match=r"gpus\.conf line 1"):
        read("NodeName=a\n", "Name=gpu\n", gres_file="gpus.conf")


def test_as_many_devices_as_are_possible() -> None:
    cluster = read("GresTypes=gpu,x\nNodeName=a Gres=gpu:1024,x:4G\n", "Name=gpu Count=99999999999\n")
    node = cluster.placement_nodes()[0]
    assert (len(node.devices), node.stocks[0].count) == (1024, 4 << 30)


def test_more_devices_than_declared_are_told_and_left_out() -> None:
    cluster: Cluster = read("GresTypes=gpu\nNodeName=a Gres=gpu:1\n", "Name=gpu File=/dev/nvidia[0-1]\n")
    assert len(cluster.placement_nodes()[0].devices) == 1
    assert cluster.remarks == ("gres.conf line 1: 2 of gpu, but slurm.conf gives node a 1. Those beyond are ignored.",)
