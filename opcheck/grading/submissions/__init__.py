"""What students hand in: files, folders, notebooks and platforms' exports, and what is found in them."""
