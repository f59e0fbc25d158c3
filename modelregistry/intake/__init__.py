"""How models come in: from memory, from elsewhere, from other repositories."""
