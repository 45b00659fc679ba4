"""U-Flow (Tailanian et al. 2024) on cached maps of EfficientNet-Lite."""
