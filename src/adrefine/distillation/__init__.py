"""Distillation of a frozen backbone into a patch description network (EAD sect. 4.3, Algorithm 1)."""
