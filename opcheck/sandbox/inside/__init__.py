"""Everything of ours that a stranger's code can see: this folder is mounted in the sandbox, the rest of opcheck is not.

Its files are run by path and import each other as neighbours (`import wire`); none of them knows an answer.
"""
