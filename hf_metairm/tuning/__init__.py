"""`hf-metairm tune`: from one's own data to settings, a recommendation, and models trained with them."""
