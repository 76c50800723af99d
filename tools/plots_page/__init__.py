"""Make the page into which `dvc plots show` and `dvc plots diff` put their plots: it needs no network.

DVC's own page loads Vega from a content delivery network, and is blank without one. And it writes data into scripts as
they are, so that a class called `<!--<script>` blanks it. Here Vega is inside, and what DVC writes is read as text.
"""
