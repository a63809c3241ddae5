"""The operators, and what an operator is.

spec, params, choosers: what an operator declares. catalog finds operators by name. Then the operators: one file while a
family is small, a folder (a wing) where it is large. `shared` has mathematics that several families use; operators
never import each other, and a definition shares nothing with the reference that it checks.
"""
