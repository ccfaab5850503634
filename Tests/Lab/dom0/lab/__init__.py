"""The library of the scenarios. It runs in dom0; the runner uses `devices`, too."""
