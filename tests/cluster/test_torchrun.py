"""Two nodes of torchrun, one process each, on loopback with gloo: as two processes of one node, and so as one."""

import socket
from pathlib import Path

import pytest

from rcic.screen.folds import write_folds
from rcic.screen.table import read_screen
from tests.learn.train import test_ddp as ddp

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.mark.parametrize("way", ddp.WAYS)
def test_two_nodes_are_as_one_process(small_screen: Path, tmp_path: Path, way: str) -> None:
    write_folds(read_screen(small_screen), tmp_path / "csv", n_folds=2, seed=0)
    words = ddp.prepared(tmp_path, small_screen, tmp_path / "csv", way)
    shared = ("--nnodes=2", "--nproc_per_node=1", "--master_addr=127.0.0.1", f"--master_port={free_port()}")
    nodes = [ddp.start(tmp_path, *shared, f"--node_rank={rank}", *words) for rank in (0, 1)]
    ddp.check_two_are_as_one(ddp.finish(tmp_path, *nodes))
