"""What the schedule in a kernel's machine code comes to: pipes, a simulation of its warps, the time that they take."""
