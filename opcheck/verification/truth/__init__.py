"""What is right, exactly, and how far from it a number may be."""
