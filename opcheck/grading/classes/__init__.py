"""A whole class: in processes, with a journal, progress and a summary."""
