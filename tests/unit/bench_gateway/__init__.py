"""Tests of ops/bench_gateway."""
