"""The report stage: one page about the run at hand and the homework, which needs no network.

`__main__` is the stage. page.html.jinja holds the page's structure, page.css its style. Each `..._section` module and
`provenance` make what one part of the page shows, from what `stage_results` reads.
"""
