"""What a GPU would be told to do, counted without one: see ``python -m benchmarks.gpu_program --help``."""
