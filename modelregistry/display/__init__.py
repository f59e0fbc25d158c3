"""How answers look: tables, pictures and Markdown."""
