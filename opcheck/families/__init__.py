"""What the operators of one family share, so that a file in `ops/` says only what is its own.

windows and pooling: index arithmetic of sliding windows. losses, class_losses: reductions, weights, ignored rows.
optimisers: weight decay and state. *_mistakes: the wrong variants of a family. roundoff: vectorised error bounds.
"""
