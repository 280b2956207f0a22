"""The Kubernetes REST surface over `cluster.embedded`: a raw ASGI application, and the server that runs it.

`app.py` is the way of a request; `serve.py` starts and stops. Texts, codes and headers are kube-apiserver's.
"""
