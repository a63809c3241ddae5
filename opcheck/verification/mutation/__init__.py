"""The test of the tester: wrong implementations, and how many of them are refused."""
