"""Where trials run: this process, processes that may crash, a cluster."""
