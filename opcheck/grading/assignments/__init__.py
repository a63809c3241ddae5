"""What a teacher writes: an assignment, read from TOML, made to begin with, and checked before a class meets it."""
