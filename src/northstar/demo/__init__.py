"""What `make demo` shows: a tiny language model on a real engine, and a program that paints.

Nothing here is a stand-in: the engine is llama.cpp's own server in its own process, the painter is a program like any
other. Only their size is small, so that they run on two cores of any machine.
"""
