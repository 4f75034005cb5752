"""What the program runs on: the machine, the versions of packages, and what is known of them."""
