"""The tables of the prepare stage's audit. No stage that trains reads them."""
