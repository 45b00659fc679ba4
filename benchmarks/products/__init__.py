"""What holds on six products, each judged by what was chosen without it."""
