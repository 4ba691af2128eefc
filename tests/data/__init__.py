"""Tests of tasks, text, batches and downloads. Begin with test_tasks.py."""
