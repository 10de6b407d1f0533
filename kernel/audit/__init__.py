"""The audit: what the book asks of FACED, of texts and of simulations, as stored tables that are checked."""
