"""A real one-node Kubernetes in namespaces of its own, for tests and demos.

`python -m tests.cluster up` is the way in; `lifecycle` says what it does.
"""
