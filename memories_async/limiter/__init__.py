"""How fast an account may ask: rules (pure), and the stores that keep them."""
