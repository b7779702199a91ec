"""`hf-metairm explore`: a page on this machine for the results and models that runs have left in a folder."""
