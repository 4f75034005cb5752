"""A Ray cluster of two nodes on this machine: prints its address, kills a node at ``kill``, ends with its stdin."""

import sys

from ray.cluster_utils import Cluster

STORE = 80 * 2**20  # bytes of a node's object store, which nothing is put into


def main() -> None:
    """Start a head without cores and two nodes with one core each, and do what stdin says."""
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(2)]
        print(cluster.address, flush=True)
        for line in sys.stdin:
            if line.strip() == "kill":
                cluster.remove_node(nodes.pop(), allow_graceful=False)
                print("killed", flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
