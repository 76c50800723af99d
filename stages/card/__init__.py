"""The card stage. `hub_header` is the part for machines; the template, card.md.jinja, is for people.

`tables_and_sentences` makes what the template says.
"""
