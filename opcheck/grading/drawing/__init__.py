"""What a question asks: a few cases, each after a kind of bug that students really make, with numbers drawn afresh."""
