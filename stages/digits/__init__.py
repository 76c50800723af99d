"""Write scikit-learn's handwritten digits as image folders."""
