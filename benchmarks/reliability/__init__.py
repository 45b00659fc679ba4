"""How much the product bears: bad inputs, kills, races, a full disk (docs/reliability.md)."""
