"""The device and its timers: clocks, memory, noise, roofs and what a run says of its environment."""
