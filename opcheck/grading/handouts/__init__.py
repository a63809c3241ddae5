"""What a teacher hands out with an assignment: a starter file, a sheet of signatures, a self-test without answers."""
