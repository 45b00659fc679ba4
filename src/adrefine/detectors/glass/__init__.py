"""GLASS (Chen et al., ECCV 2024) on cached maps of EfficientNet-Lite."""
