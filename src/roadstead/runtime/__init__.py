"""The acting shell: the Cluster port, informers, the controller contract and the runner that carries steps out."""
