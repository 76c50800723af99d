"""Claims, derivations, and the formulas that two checks share."""
