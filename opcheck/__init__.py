"""opcheck verifies neural-network operators and teaches them."""
