"""One submission against one assignment: calls in the sandbox, comparison, diagnosis, and what the student reads."""
