"""Exercises: the homework's parts as functions with blanks, and checks that say what is off and not what is right.

`__main__` writes a student's folder from `blanks` and checks it. Each problem has a module of checks, whose oracles are
the stages' own; `verdicts` compares an answer with what is right, and puts the difference into words.
"""
