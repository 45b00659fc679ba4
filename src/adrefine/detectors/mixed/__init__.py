"""Mixed supervision: good photos, synthetic and few real defects (ISP-AD, Krassnig & Gruber 2025)."""
