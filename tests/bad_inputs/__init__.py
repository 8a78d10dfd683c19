"""Inputs that must end in one clear line: lists that tests go through."""
