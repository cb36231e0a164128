"""Speed, memory and exactness beside other packages, on a quiet machine."""
