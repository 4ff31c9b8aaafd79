"""The pure core: values, and two functions over them. No clock, no I/O."""
