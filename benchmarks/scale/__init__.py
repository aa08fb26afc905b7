"""What the operator's benchmark is made of: observers, simulated nodes, and the peer."""
