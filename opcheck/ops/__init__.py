"""The operators, one family a file. `opcheck.catalog` finds each file's `OPS`; operators never import each other."""
