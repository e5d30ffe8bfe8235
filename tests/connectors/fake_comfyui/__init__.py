"""A ComfyUI server for tests: it answers, orders its frames, caches, refuses and breaks as recordings of a real one show.

It computes nothing worth looking at; what it imitates is the interface.
"""
