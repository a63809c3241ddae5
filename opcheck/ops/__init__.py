"""The operators, one family a file. A file's `OPS` are found by `opcheck.catalog`; operators never import each other."""
